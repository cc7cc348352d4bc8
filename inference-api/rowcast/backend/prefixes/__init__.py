"""Computed prefixes of prompts: what free rows hold, and what is stored beyond the rows."""
