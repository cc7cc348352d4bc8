"""The way between frontends and a backend: two Protocols in `ports`, one module per carrier."""
