"""Clients vanish, crawl, are too many, or share the server with 31 others."""
