"""The stream of /generate: each piece has all of the text so far, and a NUL after it."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.driven import RecordedEngine
from engine.beam_rule import searched
from rowcast.backend.decode_backend import Limits
from rowcast.errors import StreamCut
from rowcast.frontend.api.generate.pieces import RATE, Texts
from rowcast.frontend.reply.replies import Piece

from ...serving import Served, lasting_seed, serving, spoken

HELLO: dict[str, Any] = {"prompt": 'Say "é"\n', "seed": 3, "max_tokens": 30, "stream": True}


def pieces_of(body: bytes) -> list[dict[str, Any]]:
    """Return the pieces, each of which ends with a NUL."""
    *pieces, rest = body.split(b"\0")
    assert rest == b""
    return [json.loads(piece) for piece in pieces]


def test_each_piece_has_the_prompt_and_all_of_the_reply_so_far(served: Served) -> None:
    response = served.post("/generate", **HELLO)
    assert response.headers["X-Rowcast-Seed"] == "3"
    assert "Content-Length" not in response.headers
    pieces = pieces_of(response.data)
    assert {tuple(each) for each in pieces} == {("text", "error")}
    assert {each["error"] for each in pieces} == {0}
    texts = [text for (text,) in (each["text"] for each in pieces)]
    assert texts[-1] == HELLO["prompt"] + spoken(HELLO["prompt"], 3, 30)
    assert all(after.startswith(before) for before, after in itertools.pairwise(texts))


def test_a_piece_has_every_choice(served: Served) -> None:
    pieces = pieces_of(served.post("/generate", **HELLO, n=3).data)
    whole = served.post("/generate", **HELLO | {"stream": False}, n=3).get_json()
    assert {len(each["text"]) for each in pieces} == {3}
    assert pieces[-1]["text"] == whole["text"]


def test_a_reply_without_text_is_one_piece(served: Served) -> None:
    (piece,) = pieces_of(served.post("/generate", **HELLO | {"max_tokens": 0}).data)
    assert piece == {"text": [HELLO["prompt"]], "error": 0}


@pytest.fixture
def hasty() -> Iterator[Served]:
    """A slow engine with a short limit for replies."""
    engine = RecordedEngine(step_seconds=0.02)
    with serving(engine=engine, limits=Limits(reply_seconds=0.1)) as served:
        yield served


def test_a_stream_that_fails_ends_with_an_error_and_is_cut(hasty: Served) -> None:
    seed = lasting_seed("Hi", 2000)
    response = hasty.stream("/generate", prompt="Hi", seed=seed, max_tokens=2000, stream=True)
    received: list[bytes] = []
    with pytest.raises(StreamCut, match="time limit"):
        received.extend(response.iter_encoded())
    response.close()
    pieces = pieces_of(b"".join(received))
    assert pieces[-1]["error"] == 500
    assert {each["error"] for each in pieces[:-1]} == {0}
    assert pieces[-1]["text"][0].startswith("Hi")


def test_a_resumed_stream_begins_with_the_whole_text(tmp_path: Path) -> None:
    with serving(journal=tmp_path / "journal.db") as served:
        first = served.post("/generate", **HELLO, n=2)
        stream = f"/v1/streams/{first.headers['X-Stream-ID']}"
        for start in ("", "?from=0"):
            (piece,) = pieces_of(served.client.get(stream + start, buffered=True).data)
            assert piece == pieces_of(first.data)[-1]
        refused = served.client.get(f"{stream}?from=17", buffered=True)
        assert refused.status_code == 400
        assert "is not needed" in refused.get_json()["error"]["message"]


def test_the_same_key_is_computed_once(tmp_path: Path) -> None:
    with serving(journal=tmp_path / "journal.db") as served:
        body = {"prompt": "Hello"}
        key = {"Idempotency-Key": "one"}
        answers = [
            served.client.post("/generate", json=body, headers=key, buffered=True) for _ in range(2)
        ]
        assert answers[0].data == answers[1].data
        assert len(served.engine.seatings) == 1


def test_pieces_of_a_long_text_are_sent_at_a_bounded_rate() -> None:
    texts = Texts("x" * RATE, 1)
    assert texts.is_due(last=False)
    assert len(texts.piece()) > RATE
    texts.add([Piece(0, "more")])
    assert not texts.is_due(last=False)  # the next one is due in a second
    assert texts.is_due(last=True)
    assert texts.piece().endswith(b'xmore"],"error":0}\0')
    assert not texts.is_due(last=True)  # there is nothing new


def test_pieces_of_beams_grow_and_end_with_the_best_hypotheses() -> None:
    engine = RecordedEngine(step_seconds=0.005)
    with serving(engine=engine) as served:
        beams = {"use_beam_search": True, "n": 2, "best_of": 4, "max_tokens": 60, "stream": True}
        pieces = pieces_of(served.post("/generate", prompt="Hello", **beams).data)
    wanted = ["Hello" + each.text for each in searched(b"Hello", 4, 60)[:2]]
    assert pieces[-1] == {"text": wanted, "error": 0}
    assert len(pieces) > 2
    for text in (text for piece in pieces[:-1] for text in piece["text"]):
        assert all(each.startswith(text) for each in wanted), "what is sent early is in all"


def test_beams_are_resumed_from_the_journal(tmp_path: Path) -> None:
    with serving(journal=tmp_path / "journal.db") as served:
        beams = {"use_beam_search": True, "n": 2, "max_tokens": 30, "stream": True}
        first = served.post("/generate", prompt="Hello", **beams)
        stream = f"/v1/streams/{first.headers['X-Stream-ID']}"
        (piece,) = pieces_of(served.client.get(stream, buffered=True).data)
        assert piece == pieces_of(first.data)[-1]
        assert len(served.engine.seatings) == 2
