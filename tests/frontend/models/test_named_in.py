"""The model that a body names, read before all of the body is parsed."""

import pytest

from rowcast.frontend.models.table import named_in


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"model": "a", "prompt": "Hi"}', "a"),
        (b'{"text": "Hi", "model_name": "b"}', "b"),
        (b'{"model": "a", "model_name": "a"}', "a"),
        (b'{"inputs": "Hi"}', None),
        (b'{"model": 3}', None),
        (b'{"model": ', None),
        (b"[]", None),
    ],
)
def test_a_body_names_its_model(body: bytes, name: str | None) -> None:
    assert named_in(body) == name
