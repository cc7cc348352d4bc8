"""Reads numbers from a query string."""

from collections.abc import Mapping

from rowcast.errors import InvalidField

LONGEST = 9  # digits


def whole_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number from `least` to `most`."""
    sent = query.get(name)
    if sent is None:
        return default
    is_number = sent.isascii() and sent.isdigit() and len(sent) <= LONGEST
    if not is_number or not least <= int(sent) <= most:
        raise InvalidField(name, f"is {sent[:40]!r}; send a whole number from {least} to {most}")
    return int(sent)
