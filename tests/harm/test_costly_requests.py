"""What one request may cost in a frontend, and that other requests do not pay for it.

All attacks of this file go to one of two servers, whose processes must survive them all: the
storyteller's, whose masks are as large as its vocabulary, and the scripted model's, whose replies
arrive at once, so that all of a large answer is made in a moment.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.abuse.attacks.shot import Shot
from harm.conftest import STORYTELLER, Start
from harm.witness import Witness, witnessed

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    with witnessed(tmp_path_factory.mktemp("costly"), filled=True, **STORYTELLER) as witness:
        yield witness


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    with witnessed(tmp_path_factory.mktemp("quick"), filled=True) as witness:
        yield witness


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("c1-ref-chain", "400"),
        ("c1-lark-chain", "400"),
        ("c2-detokenize", "400"),
        ("h2-prompts-short", "400"),
        ("h2-prompts-long", "400"),
        ("h4-multiple-of", "400"),
        ("h8-alternatives", "400"),
        ("m3-texts", "400"),
        ("l-empty-messages", "400"),
    ],
    ids=lambda value: value.replace("-", "_"),
)
def test_a_costly_request_is_refused_and_nobody_notices(
    served: Witness, kind: str, status: str
) -> None:
    with served.attacked() as harm:
        answers = served.deliver(kind)
    assert set(answers.counts) <= {status, "503"}, answers
    assert status in answers.counts, answers
    harm.expect_none()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "c2-echo",
        "h7-logprobs",
        "h7-echo-scores",
    ],
    ids=lambda value: value.replace("-", "_"),
)
def test_a_large_answer_is_made_in_parts(served: Witness, kind: str) -> None:
    with served.attacked() as harm:
        answers = served.deliver(kind)
    assert not {"500", "502", "504"} & set(answers.counts), answers
    # A short request may wait for one of the seated replies, however long that takes here.
    assert not [bound for bound in harm.found() if "short request took" not in bound]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "m1-followers",
        "m1-follower-answers",
        pytest.param("m1-follower-answers", id="m1_follower_answers_again"),  # of a kept reply
    ],
    ids=lambda value: value.replace("-", "_"),
)
def test_followers_whose_answers_arrive_at_once_are_read_in_parts(
    quick: Witness, kind: str
) -> None:
    with quick.attacked() as harm:
        answers = quick.deliver(kind)
    assert answers.counts["200"] >= 8, answers  # the readers that one process allows
    assert set(answers.counts) <= {"200", "503"}, answers
    harm.expect_none(short_times=100)  # 200 to 400 where a socket is not looked at between parts


@pytest.mark.slow
@pytest.mark.parametrize("words", [2, 40])
def test_2048_vectors_do_not_hold_up_a_stream(served: Witness, words: int) -> None:
    texts = [f"Text {number}" + " and so on" * (words // 2) for number in range(2048)]
    shot = Shot.of({"model": served.facts.model, "input": texts}, "/v1/embeddings")
    with served.attacked() as harm:
        answers = served.deliver(shot, seconds=60)
    assert set(answers.counts) <= {"200", "unfinished"}, answers
    assert not [bound for bound in harm.found() if "short request took" not in bound]


HOSTILE = {
    "powers": "{{ 9**(9**8) }}",
    "copies": "{{ 'a' * 4000000000 }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "doubling": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}"
    "{% endfor %}{{ n.x }}",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_m9_a_hostile_template_costs_only_its_own_requests(
    watched: Start, tmp_path: Path, name: str
) -> None:
    template = tmp_path / "hostile.jinja"
    template.write_text(HOSTILE[name])
    served: Witness = watched(CHAT_TEMPLATE=template, HELPER_SECONDS=1)
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    with served.attacked() as harm:
        answers = [served.ask(CHAT, body) for _ in range(3)]
    for answer in answers:
        assert answer.status == 400, answer
        assert "template" in answer.text
    harm.expect_none()
