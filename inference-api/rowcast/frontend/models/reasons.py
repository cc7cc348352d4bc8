"""The reasons of failures as callers see them: without paths of this machine, which the log has."""

import re
from pathlib import PurePath

_PART = r"[^/\s'\",:;]+"
_PATH = re.compile(rf"(?<![\w.…/~-])[~.]{{0,2}}/(?:{_PART}/)*(?:{_PART}/?)")


def without_paths(text: str) -> str:
    """Return a text with only the last part of each path in it that is one of this machine."""
    return _PATH.sub(lambda found: f"…/{PurePath(found[0]).name}", text)
