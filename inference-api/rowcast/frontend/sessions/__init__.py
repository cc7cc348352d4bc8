"""Replies in flight, and the backend's events on their way to them."""
