"""Replies in flight, and the delivery of the backend's events to them."""
