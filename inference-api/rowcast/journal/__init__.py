"""Requests and their tokens on disk, which outlive a stream's reader, its worker and the server.

`record` defines what is kept of a request; `journal` keeps it, in one SQLite file that all
frontends of a server share. Synchronous, and to be called from one thread at a time. Knows no HTTP,
no sessions and no text; its readers interpret the batches of events.
"""
