"""Logits to tokens: penalties, masks, truncation, a draw by counter. Knows torch and no model."""
