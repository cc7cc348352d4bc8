"""Streams that are kept, followed and resumed."""
