"""Whether a GPU's kernels are right, pure and fast: `scripts/gpu_check`, on a bare machine."""
