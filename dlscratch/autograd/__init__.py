"""Tensors, their ops, and automatic gradients."""

from dlscratch.autograd import composed, ops
from dlscratch.autograd.engine import OPS, Node, Tensor, no_grad, op, wrap
from dlscratch.autograd.gradcheck import gradcheck, sample

__all__ = ["OPS", "Node", "Tensor", "composed", "gradcheck", "no_grad", "op", "ops", "sample", "wrap"]
