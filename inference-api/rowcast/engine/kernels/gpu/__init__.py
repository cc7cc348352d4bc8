"""Kernels in Triton, for CUDA. Importing a module of this package imports Triton: see `door`."""
