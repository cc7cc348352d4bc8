"""The log's one line per reply: ids and counts, never text."""

import logging
from typing import Any

import pytest
from werkzeug.test import TestResponse

from ..serving import SECRET, Served, serving


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one line that a reply has logged."""
    (record,) = [each for each in caplog.records if each.name == "rowcast.request"]
    return record.getMessage()


def ask(served: Served, headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
    prompt = {"text": "a secret prompt", **fields}
    return served.client.post("/", json=prompt, headers=headers, buffered=True)


def test_a_reply_is_one_line_in_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rowcast")
    ask(served, {"X-Request-ID": "mine"}, seed=3, max_tokens=12)
    served.await_idle()
    words = dict(word.split("=", 1) for word in logged(caplog).split())
    expected = {
        "request": "mine",
        "dialect": "native",
        "prompt_tokens": "15",
        "reply_tokens": "12",
        "reason": "length",
    }
    assert expected.items() <= words.items()
    assert float(words["first_ms"]) <= float(words["total_ms"])


def test_no_line_of_the_log_holds_text(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    reply = ask(served, seed=3, max_tokens=12).text
    ask(served, stop_sequence="secret sequence", top_k=0)
    served.await_idle()
    assert "secret" not in caplog.text
    assert not any(word in caplog.text for word in reply.split())


@pytest.mark.parametrize(
    ("secret", "team", "shown"),
    [
        (SECRET, "blue", "team=blue token_id=debug"),
        (SECRET, "two%20words%0A", "team='two words\\n' token_id=debug"),
    ],
)
def test_the_log_names_whom_the_proxy_vouches_for(
    served: Served, caplog: pytest.LogCaptureFixture, secret: str, team: str, shown: str
) -> None:
    caplog.set_level(logging.INFO, "rowcast")
    claims = {
        "X-Rowcast-Team": team,
        "X-Rowcast-Token-Id": "debug",
        "X-Rowcast-Proxy-Secret": secret,
    }
    ask(served, claims, max_tokens=1)
    served.await_idle()
    assert f" {shown} " in logged(caplog)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_the_log_names_nobody_where_nobody_can_be_vouched_for(
    caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    caplog.set_level(logging.INFO, "rowcast")
    claims = {"X-Rowcast-Team": "blue", "X-Rowcast-Proxy-Secret": secret}
    with serving(settings={"proxy_secret": None}) as served:
        ask(served, claims, max_tokens=1)
        served.await_idle()
        assert " team='' token_id='' " in logged(caplog)


def test_a_stream_that_was_left_is_logged_as_cancelled(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rowcast")
    served.stream(text="Hello", max_tokens=2048).close()
    served.await_idle()
    assert logged(caplog).endswith("reason=cancelled")
