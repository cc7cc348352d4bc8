"""Text on the frontend's side: tokenize, detokenize, find stop sequences. No HTTP, no tensors."""
