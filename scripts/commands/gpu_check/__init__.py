"""Runs the GPU's checks where only torch, Triton and transformers are installed."""
