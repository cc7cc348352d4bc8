"""The memory of rows: how much of it replies may use, and what is given back."""
