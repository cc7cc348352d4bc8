"""Connections: how they come, are bounded, and end."""
