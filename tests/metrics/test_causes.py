"""Words for errors."""

import jwt
import pytest

from rowcast.errors import NotReady, PromptTooLong
from rowcast_metrics.causes import cause_of


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (PromptTooLong("ten"), "prompt_too_long"),
        (NotReady("now"), "not_ready"),
        (jwt.ExpiredSignatureError(), "expired_signature"),
        (ValueError("secret"), "value"),
    ],
)
def test_the_word_is_that_of_the_class(error: Exception, word: str) -> None:
    assert cause_of(error) == word
