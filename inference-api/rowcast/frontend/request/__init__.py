"""What a request says: who asks, for what, within which limits. Knows no dialect."""
