"""Beam search in completions and chat: what the fields do, and what may not be sent beside them.

Covers `bodies/beams`.
"""

from typing import Any

import pytest

from engine import rule
from engine.beam_rule import searched

from ...serving import Served
from .asking import (
    CHAT,
    COMPLETIONS,
    HELLO,
    HELLO_TEXT,
    chat,
    complete,
    events,
    reasons,
    refusal,
    texts,
)

BEAMS: dict[str, Any] = {"use_beam_search": True, "n": 3, "max_tokens": 12}
PROMPT = "Once upon a time"
BODY = {"model": "scripted", "prompt": PROMPT}


def test_the_choices_are_the_best_hypotheses(served: Served) -> None:
    answer = complete(served, **BEAMS, prompt=PROMPT, best_of=5)
    wanted = searched(PROMPT.encode(), 5, 12)[:3]
    assert [each["text"] for each in answer["choices"]] == [each.text for each in wanted]
    assert [each["index"] for each in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] == sum(len(each.tokens) for each in wanted)


def test_one_choice_of_several_beams(served: Served) -> None:
    (choice,) = complete(served, use_beam_search=True, best_of=4, max_tokens=9)["choices"]
    assert choice["text"] == searched(b"Hello", 4, 9)[0].text


def test_their_log_probabilities_are_the_models_own(served: Served) -> None:
    answer = complete(served, **BEAMS, prompt=PROMPT, logprobs=2)
    for choice, each in zip(answer["choices"], searched(PROMPT.encode(), 3, 12), strict=True):
        found = choice["logprobs"]["token_logprobs"]
        places = [(*PROMPT.encode(), *each.tokens[:at]) for at in range(12)]
        pairs = zip(places, each.tokens, strict=True)
        assert found == pytest.approx([rule.logprob(*pair) for pair in pairs])
        assert sum(found) == pytest.approx(each.total)


@pytest.mark.parametrize("penalty", [0.0, 3])
@pytest.mark.parametrize("early", [True, False, "never"])
def test_the_options_reach_the_search(served: Served, penalty: float, early: Any) -> None:
    stops = [token for token, _ in rule.likeliest(PROMPT.encode(), 3)][1:]
    options = {"length_penalty": penalty, "early_stopping": early}
    answer = complete(served, **BEAMS, prompt=PROMPT, stop_token_ids=stops, **options)
    ends = frozenset({*stops, *served.engine.end_tokens})
    wanted = searched(PROMPT.encode(), 3, 12, ends=ends, **options)
    assert [(each["text"], each["finish_reason"]) for each in answer["choices"]] == [
        (each.text, each.reason) for each in wanted
    ]


def test_several_prompts_are_searched_each(served: Served) -> None:
    answer = complete(served, **BEAMS, prompt=["Hello", PROMPT])
    assert [each["text"] for each in answer["choices"]] == [
        each.text for prompt in ("Hello", PROMPT) for each in searched(prompt.encode(), 3, 12)
    ]


def test_a_stream_ends_with_the_same_texts(served: Served) -> None:
    chunks = events(served, COMPLETIONS, **BEAMS, prompt=PROMPT, best_of=4)
    wanted = searched(PROMPT.encode(), 4, 12)[:3]
    assert texts(chunks, 3) == [each.text for each in wanted]
    assert reasons(chunks) == {at: each.reason for at, each in enumerate(wanted)}


def test_a_stop_sequence_cuts_the_texts(served: Served) -> None:
    wanted = [each.text for each in searched(PROMPT.encode(), 3, 12)]
    stop = wanted[0][4:6]
    answer = complete(served, **BEAMS, prompt=PROMPT, stop=stop)
    assert [each["text"] for each in answer["choices"]] == [
        text.partition(stop)[0] for text in wanted
    ]
    served.await_idle()


def test_chat_has_beams_too(served: Served) -> None:
    answer = chat(served, **BEAMS)
    assert [each["message"]["content"] for each in answer["choices"]] == [
        each.text for each in searched(HELLO_TEXT.encode(), 3, 12)
    ]


def test_no_value_of_the_models_own_configuration_is_in_the_way(served: Served) -> None:
    complete(served, **BEAMS)
    params = served.engine.seatings[0].params
    assert (params.temperature, params.top_k, params.top_p, params.min_p) == (0, 0, 1, 0)


@pytest.mark.parametrize("fields", [{"temperature": 0}, {"top_p": 1}, {"top_k": -1}, {"min_p": 0}])
def test_values_without_effect_may_be_sent(served: Served, fields: dict[str, Any]) -> None:
    assert len(complete(served, **BEAMS, **fields)["choices"]) == 3


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"temperature": 0.7}, "temperature", "must be 0 with use_beam_search"),
        ({"top_p": 0.9}, "top_p", "must be 1"),
        ({"top_k": 40}, "top_k", "must be -1"),
        ({"min_p": 0.1}, "min_p", "must be 0"),
        ({"n": 1}, "best_of", "is 1; use_beam_search needs at least 2 beams"),
        ({"n": None}, "best_of", "is 1"),
        ({"best_of": 2}, "best_of", "at least n, which is 3"),
        ({"response_format": {"type": "json_object"}}, "use_beam_search", "a rule for the reply"),
        ({"echo": True, "logprobs": 0}, "echo", "cannot be combined"),
        ({"length_penalty": 17}, "length_penalty", "is invalid"),
        ({"length_penalty": "long"}, "length_penalty", "is invalid"),
        ({"early_stopping": "always"}, "early_stopping", "is invalid"),
        ({"use_beam_search": None, "length_penalty": 2}, "length_penalty", "send use_beam_search"),
        ({"use_beam_search": False, "early_stopping": "never"}, "early_stopping", "belongs to"),
        ({"n": 33}, None, "2 to 32 beams"),
    ],
)
def test_what_does_not_fit_says_what_to_change(
    served: Served, fields: dict[str, Any], name: str | None, words: str
) -> None:
    error = refusal(served.post(COMPLETIONS, **BODY | BEAMS | fields))
    assert error["param"] == name
    assert words in error["message"]


def test_in_chat_too(served: Served) -> None:
    error = refusal(served.post(CHAT, model="scripted", messages=HELLO, use_beam_search=True))
    assert (error["param"], "needs at least 2 beams" in error["message"]) == ("n", True)
