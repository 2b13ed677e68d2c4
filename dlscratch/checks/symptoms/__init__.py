"""What can be wrong with data, a model and its training: one function a check, each gives a Finding."""
