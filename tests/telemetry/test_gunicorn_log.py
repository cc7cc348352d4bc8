"""gunicorn's own lines as JSON."""

import json
import logging
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from rowcast_telemetry.gunicorn_log import JsonLogger


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """gunicorn's loggers are those of the process: leave them as they were."""
    loggers = [logging.getLogger(f"gunicorn.{name}") for name in ("error", "access")]
    before = [(each, list(each.handlers), each.propagate, each.level) for each in loggers]
    yield
    for each, handlers, propagate, level in before:
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


def test_gunicorns_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    logger = JsonLogger(Config())
    logger.info("Listening at: %s", "http://127.0.0.1:1")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found["message"] == "Listening at: http://127.0.0.1:1"
    assert (found["logger"], found["level"]) == ("gunicorn.error", "info")
