"""The texts of a model's tokens, for grammars: from `tokenizer.json`, read on first use.

Frontends tokenize by the same file. The tokens of the model that needs no file are bytes.
"""

from pathlib import Path

from rowcast.engine.decoding.facts import Facts
from rowcast.sampling.grammars.grammars import Speech, Unspeakable, speech_of_file, speech_of_texts
from rowcast.settings import ONE_LAYER

FILE = "tokenizer.json"


def speech_of(model: str, facts: Facts) -> Speech:
    """Return the token texts of a model given by its folder, or of ONE_LAYER."""
    if model == ONE_LAYER:
        (end,) = facts.end_tokens
        texts = [bytes([byte]) for byte in range(end)]
        return speech_of_texts([*texts, b""], end, facts.vocabulary)
    file = Path(model, FILE)
    if not file.is_file():
        raise Unspeakable(f"this model has no {FILE}")
    try:
        return speech_of_file(file.read_text("utf-8"), facts.vocabulary, facts.end_tokens)
    except ValueError as error:
        raise Unspeakable(f"its {FILE} cannot be used: {error}") from error
