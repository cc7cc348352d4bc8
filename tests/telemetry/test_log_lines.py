"""Lines of a log, as text and as JSON, from the same fields."""

import json
import logging
import sys

import pytest

from rowcast_telemetry.log_lines import Fields, JsonLines, quoted


def record(message: str, *args: object, exc_info: object = None) -> logging.LogRecord:
    made = logging.LogRecord("rowcast.test", logging.INFO, "", 0, message, args, None)
    if exc_info:
        made.exc_info = sys.exc_info()
    return made


def line(made: logging.LogRecord) -> dict[str, object]:
    text = JsonLines().format(made)
    assert "\n" not in text
    return dict(json.loads(text))


def test_fields_are_text_in_their_order() -> None:
    fields = Fields(request="b7", team="a team", first_ms=None, total_ms=2.449, tokens=20, none="")
    assert record("%s", fields).getMessage() == (
        "request=b7 team='a team' first_ms=- total_ms=2.4 tokens=20 none=''"
    )


def test_fields_have_their_names_and_values_in_json() -> None:
    fields = Fields(request="b7", team="a=b", first_ms=None, total_ms=2.449, tokens=20)
    made = line(record("%s", fields))
    assert set(made) == {"time", "level", "logger", "pid", *fields}
    assert {name: made[name] for name in fields} == fields


def test_other_lines_have_a_message() -> None:
    made = line(record("workers=%d of %s", 2, "here"))
    assert made["message"] == "workers=2 of here"
    assert (made["level"], made["logger"]) == ("info", "rowcast.test")
    assert str(made["time"]).endswith("Z")


def test_a_traceback_is_one_field() -> None:
    try:
        int("two\nlines")
    except ValueError:
        made = line(record("it failed", exc_info=True))
    assert made["message"] == "it failed"
    assert str(made["exception"]).startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize("value", ["", "two words", "a=b", 'a"b', "é", "a\nb", "a\\b"])
def test_what_could_be_confused_with_the_next_key_is_quoted(value: str) -> None:
    assert quoted(value) == ascii(value)
    assert quoted("plain-1.2_3") == "plain-1.2_3"
