"""The rules of OpenAI's streams: [DONE] only at a true end, errors mid-stream, rows freed."""

from collections.abc import Iterator
from typing import Any

import pytest

from backend.driven import RecordedEngine
from processes import until
from rowcast.backend.decode_backend import Limits

from ...serving import Served, lasting_seed, serving, spoken
from .asking import COMPLETIONS, refusal, split, texts


def long() -> dict[str, Any]:
    """Return the body of a request whose reply is long."""
    seed = lasting_seed("Hi", 2000)
    return {"model": "scripted", "prompt": "Hi", "seed": seed, "max_tokens": 2000}


@pytest.fixture
def hasty() -> Iterator[Served]:
    """A slow engine with short limits for replies and silence."""
    engine, settings = RecordedEngine(step_seconds=0.02), {"comment_seconds": 0.001}
    with serving(engine=engine, limits=Limits(reply_seconds=0.1), settings=settings) as served:
        yield served


def test_headers_keep_proxies_from_holding_back(served: Served) -> None:
    response = served.post(COMPLETIONS, model="scripted", prompt="Hi", stream=True, seed=3)
    assert response.headers["Cache-Control"] == "no-cache, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["X-Rowcast-Seed"] == "3"
    assert response.headers["X-Request-ID"]


@pytest.mark.slow
def test_a_stream_that_fails_has_an_error_and_no_done(hasty: Served) -> None:
    response = hasty.post(COMPLETIONS, **long(), n=2, stream=True)
    chunks, done = split(response.text)
    assert not done
    assert "time limit" in chunks[-1]["error"]["message"]
    assert chunks[-1]["error"]["type"] == "server_error"
    assert set(chunks[-1]) == {"error"}
    assert texts(chunks[:-1], 2)[0].startswith(" ")


def test_a_reply_that_fails_whole_is_a_500_that_is_not_to_be_tried_again(hasty: Served) -> None:
    response = hasty.post(COMPLETIONS, **long())
    assert refusal(response, 500)["code"] == "reply_failed"
    assert response.headers["X-Should-Retry"] == "false"


def test_silence_is_a_comment(hasty: Served) -> None:
    response = hasty.post(COMPLETIONS, **long() | {"max_tokens": 3}, stream=True)
    assert "\n\n: waiting\n" in response.text
    assert ": waiting\n\n" not in response.text
    chunks, done = split(response.text)
    assert done
    assert texts(chunks) == [spoken("Hi", long()["seed"], 3)]


@pytest.mark.slow
def test_a_client_that_leaves_frees_every_row(served: Served) -> None:
    seed = lasting_seed("Hi", 2000)
    response = served.stream(
        COMPLETIONS, model="scripted", prompt="Hi", seed=seed, max_tokens=4000, n=4, stream=True
    )
    parts = response.iter_encoded()
    next(parts)
    assert len(served.sessions) == 4
    response.close()
    until(lambda: len(served.sessions) == 0, "no session is open")
