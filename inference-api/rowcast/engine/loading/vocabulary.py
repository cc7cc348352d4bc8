"""The texts of a model's tokens, for grammars: from `tokenizer.json`, read on first use.

Frontends tokenize by the same file. The tokens of the model that needs no file are bytes.
"""

from pathlib import Path

from rowcast.engine.decoding.facts import Facts
from rowcast.sampling.grammars.grammars import (
    TokenTexts,
    TokenTextsUnknown,
    token_texts_of,
    token_texts_of_file,
)
from rowcast.settings import ONE_LAYER

FILE = "tokenizer.json"


def read_token_texts(model: str, facts: Facts) -> TokenTexts:
    """Return the token texts of a model given by its folder, or of ONE_LAYER."""
    if model == ONE_LAYER:
        (end,) = facts.end_tokens
        texts = [bytes([byte]) for byte in range(end)]
        return token_texts_of([*texts, b""], end, facts.vocabulary)
    file = Path(model, FILE)
    if not file.is_file():
        raise TokenTextsUnknown(f"the model has no {FILE}")
    try:
        return token_texts_of_file(file.read_text("utf-8"), facts.vocabulary, facts.end_tokens)
    except ValueError as error:
        raise TokenTextsUnknown(f"the model's {FILE} cannot be used: {error}") from error
