"""Forwarding: a request to the server, and its answer back to the client."""
