"""The basis of chaos's verdicts: answers in any pieces, positions to resume at, the page.

Covers `chaos/claim`, `chaos/claims`, `overload`, `content`, `traffic/kinds`,
`chaos/traffic/request`, `chaos/page`, `chaos/options`.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from commands.chaos import page
from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.claims import CLAIMS
from commands.chaos.claims.clients.overload import TURN_SECONDS, seconds_of_turns
from commands.chaos.claims.clients.prefixes import auc
from commands.chaos.options import parse
from commands.chaos.page import Line
from commands.chaos.traffic.content import cached, content, difference, position, resumable
from commands.chaos.traffic.kinds import KINDS, mixed
from commands.chaos.traffic.request import Request


def events(*data: object, first: int = 1) -> bytes:
    """Return server-sent events with ids."""
    text = [f"id: {at}\ndata: {json.dumps(each)}\n\n" for at, each in enumerate(data, first)]
    return "".join(text).encode()


def choice(text: str, index: int = 0, **more: object) -> dict[str, object]:
    return {"id": "cmpl-1", "choices": [{"index": index, "text": text, **more}]}


def test_answers_are_equal_whatever_pieces_they_came_in() -> None:
    one = events(choice("ab"), choice("x", 1), choice("c", finish_reason="stop"))
    other = events(choice("a"), choice("bc"), choice("", finish_reason="stop"), choice("x", 1))
    assert content("events", one) == content("events", other)


@pytest.mark.parametrize(
    "other",
    [
        (choice("ab"), choice("b")),
        (choice("a"), choice("b", 1)),
        (choice("a"),),
        (choice("ab", finish_reason="stop"),),
        (choice("ab", logprobs={"tokens": ["ab"]}),),
    ],
)
def test_a_lost_doubled_or_altered_token_is_a_difference(other: Sequence[object]) -> None:
    assert content("events", events(choice("a"), choice("b"))) != content("events", events(*other))


def test_a_second_end_is_a_difference() -> None:
    once = events(choice("a")) + b"data: [DONE]\n\n"
    assert content("events", once) != content("events", once + b"data: [DONE]\n\n")
    end = b'event: end\ndata: {"seed": 1}\n\n'
    assert content("events", once + end) != content("events", once + end + end)


def test_clocks_and_names_of_one_answer_are_no_difference() -> None:
    one = b'{"id": "a", "created": 1, "text": "x", "usage": {"processing_time": 1}}'
    other = b'{"id": "b", "created": 2, "text": "x", "usage": {"processing_time": 2}}'
    assert content("json", one) == content("json", other)
    assert content("json", one) != content("json", other.replace(b"x", b"y"))


def test_cached_tokens_may_differ_between_requests_and_are_compared_between_readings() -> None:
    whole = [b'{"text": "x", "usage": {"details": {"cached_tokens": %d}}}' % at for at in (0, 9)]
    assert content("json", whole[0]) == content("json", whole[1])
    assert [cached("json", each) for each in whole] == [[0], [9]]
    stream = events(choice("a"), {"usage": {"cached_tokens": 3}}) + b"data: [DONE]\n\n"
    assert cached("events", stream) == [3]
    assert content("events", stream) == content("events", stream.replace(b": 3}", b": 4}"))
    assert content("events", stream) != content("events", stream.replace(b'"a"', b'"b"'))
    assert cached("raw", b'{"cached_tokens": 3}') == []


def test_equal_times_cannot_be_distinguished_and_different_ones_can() -> None:
    dice = random.Random(3)
    one, other = ([dice.random() for _ in range(2000)] for _ in range(2))
    assert abs(auc(one, other) - 0.5) < 0.05
    assert auc([1, 2], [3, 4]) == 1
    assert auc([3, 4], [1, 2]) == 0
    assert auc([1, 1, 2], [1, 2, 2]) == pytest.approx(
        (0.5 + 1 + 1 + 0.5 + 1 + 1 + 0 + 0.5 + 0.5) / 9
    )


def test_a_reader_goes_on_after_the_last_event_that_it_can_name() -> None:
    body = events({"text": "a"}, {"text": "b"}) + b': waiting\nid: 3\ndata: {"te'
    received = resumable("events", body)
    assert (received, position("events", received)) == (events({"text": "a"}, {"text": "b"}), "2")
    assert position("events", resumable("events", b": waiting\n")) == ""
    noted = b": waiting\n: waiting\n" + events({"text": "a"})
    assert resumable("events", noted + b": waiting\n") == noted


def test_a_reader_of_bytes_goes_on_after_the_last_byte() -> None:
    assert (resumable("raw", b"abc"), position("raw", b"abc")) == (b"abc", "3")
    assert (resumable("json", b'{"a"'), position("json", b"")) == (b"", "")


def test_a_difference_is_shown_where_it_is() -> None:
    assert "at 2: want 'c', got 'd'" in difference(b"abc", b"abd")


def test_a_seed_draws_the_same_requests_of_all_kinds() -> None:
    one, other = (mixed(random.Random(5), 30, 10, 20) for _ in range(2))
    assert one == other
    assert len({request.kind for request in one}) == len(KINDS)
    assert len({request.body for request in one}) == len(one)


def test_a_request_that_ends_too_early_announces_all_of_itself() -> None:
    whole = Request.of("raw", "raw", "/", {"text": "a"})
    half = Request("raw", "raw", "/", whole.body, missing=3)
    assert half.message == whole.message[:-3]


def test_a_command_that_makes_no_sense_is_refused() -> None:
    for wrong in (["--size", "0"], ["--size", "huge"], ["--only", "nothing"]):
        with pytest.raises(SystemExit, match="2"):
            parse(wrong, CLAIMS)


def test_a_refuted_claim_says_how_to_refute_it_again() -> None:
    options = parse(["--size", "7", "--seed", "3", "--model", "/a/model"], CLAIMS)
    text = options.again(CLAIMS["soak"])
    assert text == "MODEL=/a/model make chaos ARGS='--only soak --size 7 --seed 3'"


def line(name: str, *faults: str) -> Line:
    claim = Claim(name, "It holds.", Sizes(1, 1, 1), "times", lambda *_: Finding())
    found = Finding(figures=[f"{name} was seen"], faults=list(faults))
    return Line.of(claim, found, 1, "scripted", "make chaos")


def test_the_page_keeps_other_lines_and_what_stands_around_them(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"# Before\n\n{page.BEGIN}\n{page.END}\n\nAfter.\n")
    page.write(path, [line("b"), line("a")], ["a", "b"])
    page.write(path, [line("b", "lost")], ["a", "b"])
    text = path.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\n\nAfter.\n")
    assert text.index("`a` It holds.") < text.index("`b` It holds.")
    assert text.count("| `") == 2
    assert "lost; `make chaos` | **does not hold** |" in text


@pytest.mark.parametrize("size", [1, 3, 15, 16, 100, 120])
def test_loads_that_take_turns_take_all_of_the_time(size: int) -> None:
    turns = seconds_of_turns(size)
    assert sum(turns) == size
    assert 0 < min(turns) <= max(turns) <= min(turns) + 1
    assert max(turns) <= TURN_SECONDS
