"""Word vectors from text. Nothing is imported here: the command line reads the options and does not wait for NumPy."""
