"""dlscratch: deep learning from scratch on NumPy.

Names are imported when they are first used, so that `dlscratch --help` does not wait for NumPy.
"""

from __future__ import annotations

from dlscratch._version import __version__

TYPE_CHECKING = False  # as in typing, which takes five milliseconds to import
if TYPE_CHECKING:
    from typing import Any

    from dlscratch import datasets, nn, optim, runs, training, word2vec
    from dlscratch.autograd import OPS, Tensor, gradcheck, no_grad, op, sample
    from dlscratch.config.build import build
    from dlscratch.config.word2vec import Word2VecSettings
    from dlscratch.errors import DlscratchError
    from dlscratch.runs import Run, TrainedModel
    from dlscratch.runs.word2vec import Word2VecRun
    from dlscratch.training import fit
    from dlscratch.training.profile import Profile
    from dlscratch.word2vec import Word2VecOptions, WordVectors

_HOMES = {
    "datasets": "datasets",
    "nn": "nn",
    "optim": "optim",
    "runs": "runs",
    "training": "training",
    "word2vec": "word2vec",
    "OPS": "autograd",
    "Tensor": "autograd",
    "gradcheck": "autograd",
    "no_grad": "autograd",
    "op": "autograd",
    "sample": "autograd",
    "build": "config.build",
    "DlscratchError": "errors",
    "Profile": "training.profile",
    "Run": "runs",
    "TrainedModel": "runs",
    "fit": "training",
    "Word2VecOptions": "word2vec.options",
    "Word2VecRun": "runs.word2vec",
    "Word2VecSettings": "config.word2vec",
    "WordVectors": "word2vec.vectors",
}

__all__ = [
    "OPS",
    "DlscratchError",
    "Profile",
    "Run",
    "Tensor",
    "TrainedModel",
    "Word2VecOptions",
    "Word2VecRun",
    "Word2VecSettings",
    "WordVectors",
    "__version__",
    "build",
    "datasets",
    "fit",
    "gradcheck",
    "nn",
    "no_grad",
    "op",
    "optim",
    "runs",
    "sample",
    "training",
    "word2vec",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dlscratch' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"dlscratch.{_HOMES[name]}")
    value = module if name == _HOMES[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
