"""From a step's tokens to logits, over the row cache."""
