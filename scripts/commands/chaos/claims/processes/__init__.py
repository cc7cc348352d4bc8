"""A process of the server is killed, hangs, or is asked to end or to reload."""
