"""Kernels in Triton, for CUDA. Its modules import Triton, except `available`."""
