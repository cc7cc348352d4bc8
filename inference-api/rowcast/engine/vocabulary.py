"""What a model's tokens say, for grammars: from its `tokenizer.json`, when one is first asked for.

The same file that frontends tokenize by: a folder's, or a hub's through its cache.
"""

from pathlib import Path

from transformers.utils import cached_file

from rowcast.sampling.grammar import Speech, Unspeakable, speech_of_file

FILE = "tokenizer.json"


def speech_of(model: str, size: int, ends: frozenset[int]) -> Speech:
    """The tokens of a model that is named by its folder or its hub id."""
    try:
        file = cached_file(model, FILE)
    except OSError as error:
        raise Unspeakable(f"this model has no {FILE}") from error
    text = Path(str(file)).read_text(encoding="utf-8")
    try:
        return speech_of_file(text, size, ends)
    except ValueError as error:
        raise Unspeakable(f"its {FILE} cannot be used: {error}") from error
