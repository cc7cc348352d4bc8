"""Rowcast: language models as live text streams. A reply is a value.

Reading order: `wire` (the messages), `frontend/` (HTTP in, chunks out), `transport/` (between
processes), `backend/` (32 rows, one step at a time), `engine/` (computes tokens), `launch/` (starts
and restarts backends). Libraries of these: `text/`, `sampling/`, `journal/`, `offload/`. Importing
this package imports none of them.
"""

__version__ = "0.1.0"
