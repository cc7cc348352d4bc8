"""OpenAI's request bodies, checked and parsed."""
