"""Rowcast: language models as live text streams. A reply is a value.

Reading order: `wire` (what is said), `frontend/` (HTTP in, chunks out), `transport/` (the way
between), `backend/` (32 rows, one step at a time), `engine/` (what computes a token), `launch`
(who starts whom). Importing this package imports none of them.
"""

__version__ = "0.1.0"
