"""The word by which metrics name an error: its class's, so that there is a fixed number of them."""

import re

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def cause_of(error: Exception) -> str:
    """Return the name of an error's class as a label: `PromptTooLong` is prompt_too_long."""
    return _WORD.sub("_", type(error).__name__.removesuffix("Error")).lower()
