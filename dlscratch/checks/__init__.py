"""What one can ask of a config, a model or a run: is it right, is it whole, is it the same, can it be repeated."""
