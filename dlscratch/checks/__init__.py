"""What one can ask of a config, a model or a run: is it right, is it whole, is it the same, can it be repeated."""

from dlscratch.checks.doctor import doctor
from dlscratch.checks.gradients import GradientCheck, check_gradients
from dlscratch.checks.symptoms.finding import Finding

__all__ = ["Finding", "GradientCheck", "check_gradients", "doctor"]
