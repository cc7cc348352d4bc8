"""The decode loop: 32 rows fed under a width budget. Token ids only; no text, no HTTP."""
