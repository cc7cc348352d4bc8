"""What computes tokens: the `Engine` Protocol and its implementations. No text, no sessions."""
