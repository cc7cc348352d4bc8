"""The corpus against the real server, and through the real proxy, whole and byte by byte.

Every request gets a correct answer within a limit, never a 5xx; no leftover of it is taken for
another request, and it never keeps the next one from working. At the end of each target, no worker
has ended and nothing unexpected is in a log: `Volley.close`.
"""

import itertools
from dataclasses import replace

import pytest

from processes import until

from .answers import Answer
from .case import CLOSED, GOOD_BODY, HIDDEN_ID, TOKEN_BYTES, Case, sent
from .corpus import FAMILIES
from .target import GOOD_REPLY, is_refusal
from .volley import Volley

SHOTS = [
    pytest.param(family, case, drip, id=f"{family}-{case.name}-{'drip' if drip else 'whole'}")
    for family, cases in FAMILIES.items()
    for case, drip in itertools.product(cases, (False, True))
    if case.dripped or not drip
]


@pytest.mark.parametrize(("family", "case", "drip"), SHOTS)
def test_gets_a_lawful_answer_and_harms_nobody(
    volley: Volley, family: str, case: Case, drip: bool
) -> None:
    outcome = volley.outcome(family, case, drip=drip)
    statuses = [answer.status for answer in outcome.answers]
    allowed = case.statuses(volley.target.is_proxy)

    assert (statuses[0] if statuses else CLOSED) in allowed, (case.says, outcome.answers)
    assert len(statuses) <= case.answers, outcome.answers
    assert all(status < 500 for status in statuses)
    assert all(is_refusal(each) for each in outcome.answers if each.status >= 400 and each.body), (
        outcome.answers
    )
    assert HIDDEN_ID not in [answer.request_id for answer in outcome.answers]
    assert outcome.keeps_its_word(case), outcome
    assert (outcome.next.status, outcome.next.body) == (200, GOOD_REPLY)


@pytest.mark.parametrize(
    ("family", "case"),
    [
        pytest.param(family, case, id=f"{family}-{case.name}")
        for family, cases in FAMILIES.items()
        for case in cases
        if case.hint
    ],
)
def test_says_what_to_change(volley: Volley, family: str, case: Case) -> None:
    if volley.target.is_proxy and not case.behind:
        pytest.skip("the proxy answers in its own words")
    (answer,) = volley.outcome(family, case, drip=False).answers
    assert case.hint in _message(answer)


def test_the_corpus_is_as_large_as_promised_and_names_are_unique() -> None:
    names = [(family, case.name) for family, cases in FAMILIES.items() for case in cases]
    assert len(names) >= 130
    assert len(set(names)) == len(names)


def test_a_hidden_request_would_be_noticed(volley: Volley) -> None:
    """Send the same bytes, not hidden: the id is returned, and appears in the server's log."""
    seen = Case(name="seen", says="", raw=sent(GOOD_BODY) + sent(GOOD_BODY, b"X-Request-ID: seen"))
    outcome = volley.target.try_case(seen, drip=False)
    assert [answer.request_id == "seen" for answer in outcome.answers] == [False, True]
    until(lambda: "request=seen" in volley.outputs()[0], "the line of a reply")


def test_a_target_without_the_token_would_be_noticed(volley: Volley) -> None:
    """Show that a request without the token does not pass."""
    if not volley.target.is_proxy:
        pytest.skip("the server does not look at tokens")
    stranger = replace(volley.target, token="not.a.token".ljust(TOKEN_BYTES, "x"))
    assert stranger.ask_well().status == 401


def _message(answer: Answer) -> str:
    said = answer.json()
    assert isinstance(said, dict)
    return str(said["message"])
