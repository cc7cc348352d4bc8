"""Connections and the event loop: everything before a request is read."""
