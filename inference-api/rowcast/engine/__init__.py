"""Computing tokens: the `Engine` Protocol and its implementations. No text, no sessions."""
