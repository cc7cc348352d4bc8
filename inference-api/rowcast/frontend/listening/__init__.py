"""Connections and the event loop: what happens before a request is read."""
