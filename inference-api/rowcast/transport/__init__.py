"""Connects frontends to a backend: Protocols in `ports`, one module per carrier, `carriers`."""
