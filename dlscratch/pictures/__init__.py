"""Pictures: graphs, curves, tensors and words, as files that open without a server or a network."""
