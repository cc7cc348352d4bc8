"""Arithmetic of our own: attention and linear layers in C, compiled once, and their fallbacks."""
