"""The text side of a model, or a sentence that explains what is wrong with it."""

from pathlib import Path

import pytest

from rowcast.errors import UnknownModel
from rowcast.settings import read_settings
from rowcast.text.model_text import text_of


def test_models_without_files_have_a_tokenizer_and_the_plain_template() -> None:
    for settings in (read_settings(model="scripted"), read_settings(no_weights=True)):
        text = text_of(settings)
        assert bytes(text.tokenizer.encode("Hi")) == b"Hi"
        assert text.chat.is_plain
        assert text.files is None


def test_the_storyteller_has_files_of_its_own() -> None:
    text = text_of(read_settings(model="storyteller"))
    assert text.files is not None
    assert not text.chat.is_plain
    assert text.tokenizer.least_tokens("a" * 1000) > 0


def test_a_broken_template_is_a_sentence(tmp_path: Path) -> None:
    template = tmp_path / "broken.jinja"
    template.write_text("{% for message in messages %}")
    with pytest.raises(UnknownModel, match="chat template cannot be read: Unexpected end"):
        text_of(read_settings(model="scripted", chat_template=str(template)))
