"""Text on the frontend's side: tokens and back, stop sequences. No HTTP, no tensors."""
