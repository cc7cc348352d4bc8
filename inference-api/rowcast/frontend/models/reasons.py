"""Reasons of failures as callers see them: without paths of this machine, which are in the log."""

import re
from pathlib import PurePath

_PART = r"[^/\s'\",:;]+"
_PATH = re.compile(rf"(?<![\w.…/~-])[~.]{{0,2}}/(?:{_PART}/)*(?:{_PART}/?)")


def without_paths(text: str) -> str:
    """Return a text in which each path is shortened to its last part."""
    return _PATH.sub(lambda found: f"…/{PurePath(found[0]).name}", text)
