"""The names in PromQL: enough of its grammar to find every metric that an expression reads."""

import re

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_NAMES = re.compile(
    r"\{[^{}]*\}|\[[^\[\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)"
)
_WORD = re.compile(r"(?<![\w:.$])[A-Za-z_:][\w:]*")
_OPERATORS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_PAIRS = {")": "(", "]": "[", "}": "{"}


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression reads. Raises ValueError if it is not balanced."""
    bare = _STRINGS.sub('""', expression)
    check_balance(bare)
    bare = _NO_NAMES.sub(" ", bare)
    found = ((word[0], bare[word.end() :].lstrip()[:1]) for word in _WORD.finditer(bare))
    return {name for name, after in found if after != "(" and name.lower() not in _OPERATORS}


def check_balance(text: str) -> None:
    """Raise ValueError unless every bracket is closed in order."""
    opened: list[str] = []
    for character in text:
        if character in _PAIRS.values():
            opened.append(character)
        elif character in _PAIRS and (not opened or opened.pop() != _PAIRS[character]):
            raise ValueError(f"{character} closes nothing in {text}")
    if opened:
        raise ValueError(f"{opened[-1]} is not closed in {text}")
