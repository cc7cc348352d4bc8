"""POST /v1/completions: bytes and form of the reply, for every form of prompt and many choices.

Covers `bodies/sampling`, `openai/response/response`, `response/logprobs`,
`frontend/request/prompt`, `reply/replies`.
"""

from typing import Any

import pytest

from engine import rule
from rowcast.sampling_params import SamplingParams
from rowcast.scripted_vocabulary import TEXTS

from ...serving import Served, lasting_seed
from .asking import COMPLETIONS, complete, events, reasons, refusal, texts


def said(prompt: str, seed: int, max_tokens: int, choice: int = 0) -> str:
    """Return the text that one choice must have."""
    tokens, _ = rule.reply(prompt.encode(), seed, max_tokens, choice=choice)
    return b"".join(TEXTS[token] for token in tokens).decode(errors="replace")


def test_a_completion_is_openais_object(served: Served) -> None:
    seed = lasting_seed("Hello", 20)
    answer = complete(served, seed=seed, max_tokens=20)
    usage = answer.pop("usage")
    assert answer.pop("id").startswith("cmpl-")
    assert answer.pop("created") > 1_700_000_000
    assert answer == {
        "object": "text_completion",
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "text": said("Hello", seed, 20),
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "system_fingerprint": "scripted-1",
        "seed": seed,
    }
    assert usage.pop("tokens_per_second") > 0
    assert usage.pop("processing_time") > 0
    assert usage == {
        "prompt_tokens": 5,
        "completion_tokens": 20,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_what_is_not_said_has_openais_default(served: Served) -> None:
    complete(served)
    (seating,) = served.engine.seatings
    assert seating.params == SamplingParams(max_tokens=16)


def test_what_is_said_reaches_the_engine(served: Served) -> None:
    complete(
        served,
        max_tokens=5,
        temperature=0,
        top_p=0.5,
        top_k=7,
        min_p=0.1,
        repetition_penalty=1.1,
        presence_penalty=0.2,
        frequency_penalty=-0.3,
        logit_bias={"72": 5, "0": -100},
        stop_token_ids=[10],
        allowed_token_ids=[1, 2],
        min_tokens=2,
        ignore_eos=True,
        seed=-1,
    )
    (seating,) = served.engine.seatings
    assert seating.seed == 2**64 - 1
    assert seating.params == SamplingParams(
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        top_k=7,
        min_p=0.1,
        repetition_penalty=1.1,
        presence_penalty=0.2,
        frequency_penalty=-0.3,
        logit_bias=((0, -100.0), (72, 5.0)),
        stop_token_ids=(10,),
        allowed_tokens=(1, 2),
        min_tokens=2,
        ignore_eos=True,
    )


@pytest.mark.parametrize("off", [0, -1])
def test_a_top_k_of_zero_or_minus_one_is_off(served: Served, off: int) -> None:
    complete(served, top_k=off)
    assert served.engine.seatings[0].params.top_k == 0


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("Hi", ["Hi"]),
        (["Hi", "größer 😀"], ["Hi", "größer 😀"]),
        ([72, 105], ["Hi"]),
        ([[72, 105], [72]], ["Hi", "H"]),
    ],
)
def test_a_prompt_has_four_forms(served: Served, prompt: Any, meant: list[str]) -> None:
    answer = complete(served, prompt=prompt, seed=3, max_tokens=9)
    assert [choice["text"] for choice in answer["choices"]] == [said(x, 3, 9) for x in meant]
    assert [choice["index"] for choice in answer["choices"]] == [*range(len(meant))]
    assert answer["usage"]["prompt_tokens"] == sum(len(each.encode()) for each in meant)


@pytest.mark.parametrize(
    "prompt",
    ["", [], [""], [[]], ["a", [1]], [1, "a"], [1.5], [True], {"a": 1}, 7, None, [[1], 2], [99999]],
)
def test_anything_else_is_no_prompt(served: Served, prompt: Any) -> None:
    response = served.post(COMPLETIONS, model="scripted", prompt=prompt)
    assert refusal(response)["param"] == "prompt"


def test_prompts_and_choices_are_counted_through(served: Served) -> None:
    answer = complete(served, prompt=["Hi", "Ho"], n=3, seed=3, max_tokens=9)
    wanted = [said(prompt, 3, 9, choice) for prompt in ("Hi", "Ho") for choice in range(3)]
    assert [choice["text"] for choice in answer["choices"]] == wanted
    assert [choice["index"] for choice in answer["choices"]] == [*range(6)]


def test_a_stream_says_the_same_as_the_whole(served: Served) -> None:
    asked = {"prompt": ["Hi", "Ho"], "n": 2, "seed": 3, "max_tokens": 40}
    whole = complete(served, **asked)["choices"]
    chunks = events(served, COMPLETIONS, **asked)
    assert texts(chunks, 4) == [choice["text"] for choice in whole]
    assert reasons(chunks) == {choice["index"]: choice["finish_reason"] for choice in whole}
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "usage" not in chunks[0]


def test_usage_comes_last_where_it_is_asked_for(served: Served) -> None:
    options = {"include_usage": True}
    *chunks, last = events(served, COMPLETIONS, n=2, max_tokens=5, stream_options=options)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 5
    assert last["usage"]["total_tokens"] == 5 + last["usage"]["completion_tokens"]


def test_usage_may_come_with_every_chunk(served: Served) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = events(served, COMPLETIONS, max_tokens=5, stream_options=options)
    assert all(chunk["usage"]["prompt_tokens"] == 5 for chunk in chunks)


def test_usage_comes_with_no_chunk_unless_it_is_included(served: Served) -> None:
    for options in ({"continuous_usage_stats": True}, {"include_usage": False}, {}):
        chunks = events(served, COMPLETIONS, max_tokens=5, stream_options=options)
        assert not any("usage" in chunk for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["Hé", [72, 195, 169]])
def test_echo_puts_the_prompt_first(served: Served, prompt: Any, stream: bool) -> None:
    asked = {"prompt": prompt, "echo": True, "n": 2, "seed": 3, "max_tokens": 9}
    wanted = ["Hé" + said("Hé", 3, 9, choice) for choice in range(2)]
    if stream:
        assert texts(events(served, COMPLETIONS, **asked), 2) == wanted
    else:
        assert [each["text"] for each in complete(served, **asked)["choices"]] == wanted


def test_logprobs_name_each_token_and_where_it_begins(served: Served) -> None:
    choice = complete(served, seed=1, max_tokens=9, logprobs=2)["choices"][0]
    scores = choice["logprobs"]
    assert "".join(scores["tokens"]) == choice["text"]
    assert all(score < 0 for score in scores["token_logprobs"])
    offsets = [len("".join(scores["tokens"][:at])) for at in range(9)]
    assert scores["text_offset"] == offsets
    for token, score, top in zip(
        scores["tokens"], scores["token_logprobs"], scores["top_logprobs"], strict=True
    ):
        assert 2 <= len(top) <= 3
        assert top[token] == score


def test_logprobs_of_zero_name_no_others(served: Served) -> None:
    scores = complete(served, max_tokens=3, logprobs=0)["choices"][0]["logprobs"]
    assert scores["top_logprobs"] is None
    assert len(scores["token_logprobs"]) == len(scores["tokens"]) > 0


def test_streamed_logprobs_are_those_of_the_whole(served: Served) -> None:
    asked = {"seed": 5, "max_tokens": 30, "logprobs": 1, "echo": True, "stop": " b"}
    whole = complete(served, **asked)["choices"][0]["logprobs"]
    joined: dict[str, list[Any]] = {name: [] for name in whole}
    for chunk in events(served, COMPLETIONS, **asked):
        for name, values in (chunk["choices"][0]["logprobs"] or {}).items():
            joined[name] += values
    assert joined == whole


def test_a_prompt_can_be_scored_alone(served: Served) -> None:
    answer = complete(served, prompt="Hé", max_tokens=0, echo=True, logprobs=1)
    (choice,) = answer["choices"]
    assert choice["text"] == "Hé"
    assert choice["finish_reason"] == "length"
    scores = choice["logprobs"]
    assert scores["tokens"] == ["H", "bytes:\\xc3", "bytes:\\xa9"]
    assert scores["token_logprobs"][0] is scores["top_logprobs"][0] is None
    assert all(score < 0 for score in scores["token_logprobs"][1:])
    assert answer["usage"]["completion_tokens"] == 0


def test_best_of_tells_the_likeliest(served: Served) -> None:
    asked = {"seed": 3, "max_tokens": 6, "ignore_eos": True}
    every = complete(served, n=7, logprobs=0, **asked)["choices"]
    ranked = sorted(every, key=lambda each: -sum(each["logprobs"]["token_logprobs"]))
    answer = complete(served, n=2, best_of=7, **asked)
    assert [each["text"] for each in answer["choices"]] == [each["text"] for each in ranked[:2]]
    assert [each["index"] for each in answer["choices"]] == [0, 1]
    assert answer["choices"][0]["logprobs"] is None
    assert answer["usage"]["completion_tokens"] == 42


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"suffix": "the end"}, "suffix"),
        ({"prompt": ["a"] * 20, "n": 100}, "prompt"),
        ({"allowed_token_ids": []}, "allowed_token_ids"),
        ({"logit_bias": {"99999": 1}}, 'logit_bias["99999"]'),
        ({"stop_token_ids": [99999]}, "stop_token_ids"),
    ],
)
def test_what_cannot_be_is_refused(served: Served, fields: dict[str, Any], param: str) -> None:
    asked = {"model": "scripted", "prompt": "Hi"} | fields
    assert refusal(served.post(COMPLETIONS, **asked))["param"] == param
    assert served.engine.seatings == []


def test_a_stop_sequence_never_leaves(served: Served) -> None:
    whole = said("Hello", 3, 60)
    stop = whole[20:24]
    before = whole[: whole.index(stop)]
    answer = complete(served, seed=3, max_tokens=60, stop=["never said", stop])
    assert answer["choices"][0]["text"] == before
    assert answer["choices"][0]["finish_reason"] == "stop"
    chunks = events(served, COMPLETIONS, seed=3, max_tokens=60, stop=stop)
    assert texts(chunks) == [before]
    assert reasons(chunks) == {0: "stop"}


@pytest.mark.parametrize("stop", [None, " b"])
def test_token_ids_are_those_of_prompt_and_reply(served: Served, stop: str | None) -> None:
    asked = {"prompt": ["Hi", "Ho"], "n": 2, "seed": 3, "max_tokens": 30, "stop": stop}
    answer = complete(served, **asked, return_token_ids=True)
    usage = answer["usage"]["completion_tokens"]
    assert sum(len(choice["token_ids"]) for choice in answer["choices"]) == usage
    for choice in answer["choices"]:
        prompt = b"Hi" if choice["index"] < 2 else b"Ho"
        assert choice["prompt_token_ids"] == list(prompt)
        drawn = rule.reply(prompt, 3, 30, choice=choice["index"] % 2)[0]
        assert choice["token_ids"] == list(drawn[: len(choice["token_ids"])])
    joined: list[list[int]] = [[], [], [], []]
    for chunk in events(served, COMPLETIONS, **asked, return_token_ids=True):
        for choice in chunk["choices"]:
            joined[choice["index"]] += choice.pop("prompt_token_ids", []) + choice["token_ids"]
    assert joined == [
        choice["prompt_token_ids"] + choice["token_ids"] for choice in answer["choices"]
    ]
    assert "token_ids" not in complete(served, **asked)["choices"][0]
