"""Grammars in the backend: compiled, and a mask for each row."""
