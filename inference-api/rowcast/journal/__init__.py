"""Requests and their tokens on disk, which outlive a stream's reader, its worker and the server.

journal        streams, in one SQLite file that all frontends of a server share
record         one request and what is new in its stream
background/    requests that are computed though nobody reads their replies
batches/       files, and batches of such requests
late_table     a table that the file gets with its first row
schema         the tables of streams, and how the file is opened
eviction       which streams make room in a full file
service        the process that takes a frontend's calls

Synchronous, for one thread at a time. Knows no HTTP, no sessions and no text; its readers
interpret the batches of events.
"""
