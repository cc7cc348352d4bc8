"""Connects frontends to a backend: two Protocols in `ports`, one module per carrier."""
