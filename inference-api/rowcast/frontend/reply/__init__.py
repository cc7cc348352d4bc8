"""From a session's events to text: pieces, choices, positions and receipts."""
