"""OpenAI's answers and events."""
