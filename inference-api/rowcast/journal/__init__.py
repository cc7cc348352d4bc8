"""What outlives a stream's reader, its worker and the server: requests and their tokens, on disk.

`record` is what is kept of a request; `journal` keeps it, in one SQLite file that all frontends of
a server share. Synchronous, and to be called from one thread at a time. Knows no HTTP, no sessions
and no text; what a batch of events means is for those who read it.
"""
