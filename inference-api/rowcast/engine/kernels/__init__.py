"""Our own arithmetic: attention and linear layers in C, compiled once, and their fallbacks."""
