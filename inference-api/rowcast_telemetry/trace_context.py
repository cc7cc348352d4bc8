"""The `traceparent` of a request (W3C Trace Context): its trace, and its caller's span.

    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
       the trace                        the span         1: it is recorded

A header that breaks the rules counts as none, as the standard says.
"""

import os
import re
from dataclasses import dataclass
from typing import Self

HEADER = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span's place in a trace."""

    trace: str
    span: str
    sampled: bool  # whether the spans of the trace are recorded

    @classmethod
    def read(cls, header: str | None) -> Self | None:
        """Return the context of a header; None if there is none, or it is malformed."""
        found = _FORM.fullmatch(header) if header and len(header) <= _LONGEST else None
        if found is None:
            return None
        version, trace, span, flags, rest = found.groups()
        if version == "ff" or (version == "00" and rest) or not int(trace, 16) or not int(span, 16):
            return None
        return cls(trace, span, bool(int(flags, 16) & 1))

    @classmethod
    def fresh(cls, parent: Self | None, *, sampled: bool) -> Self:
        """Return the context of a new span: in its parent's trace, or in a new one."""
        if parent is None:
            return cls(os.urandom(16).hex(), os.urandom(8).hex(), sampled)
        return cls(parent.trace, os.urandom(8).hex(), parent.sampled)

    @property
    def header(self) -> str:
        return f"00-{self.trace}-{self.span}-{int(self.sampled):02x}"
