"""Values in the log: always one line.

Covers `log`.
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.log import Logfmt, configure
from rowcast_telemetry.log_lines import quoted


@pytest.fixture
def rowcast_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("rowcast")
    before = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]


@pytest.mark.parametrize("value", ["blue", "team-7", "a.b_c/d", "0"])
def test_a_plain_word_is_logged_as_it_is(value: str) -> None:
    assert quoted(value) == value


@pytest.mark.parametrize("value", ["", "a b", "a=b", 'a"b', "a\\b", "a\nb", "é", "\u2028", "\x1b["])
def test_what_could_be_misread_is_quoted(value: str) -> None:
    assert quoted(value) == ascii(value)


@given(st.text())
@settings(deadline=None, derandomize=True, max_examples=100)
def test_no_value_breaks_its_line(value: str) -> None:
    shown = quoted(value)
    assert shown.isascii()
    assert shown.isprintable()


def test_a_line_tells_time_level_logger_and_process() -> None:
    record = logging.LogRecord("rowcast.x", logging.INFO, "x.py", 1, "answer=%d", (42,), None)
    line = Logfmt().format(record)
    assert f"level=INFO logger=rowcast.x pid={record.process} answer=42" in line
    assert "\n" not in line


def test_configuring_twice_does_not_log_twice(rowcast_logger: logging.Logger) -> None:
    rowcast_logger.handlers.clear()
    configure("DEBUG")
    configure("INFO")
    assert len(rowcast_logger.handlers) == 1
    assert rowcast_logger.level == logging.INFO
