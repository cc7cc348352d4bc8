"""Connects frontends to a backend: Protocols in `ports`; `carriers` lists the implementations."""
