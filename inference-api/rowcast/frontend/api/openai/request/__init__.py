"""OpenAI's request bodies, checked and read."""
