"""Bodies of /v1/responses: parsed, and made the chat that means the same."""
