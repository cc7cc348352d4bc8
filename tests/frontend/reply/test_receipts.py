"""Receipts: what they record about replies, in each dialect, and replies recomputed from them.

Covers `openai/replay`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from msgspec import UNSET, structs

from engine import rule
from rowcast.frontend.reply import receipts
from rowcast.frontend.reply.receipts import SELDOM, Parameters, chain
from rowcast.sampling_params import SamplingParams

from ..api.openai.asking import CHAT, COMPLETIONS, chat, complete, events, refusal, texts
from ..serving import Served, error_of, lasting_seed, spoken

REPLAY = "/v1/replay"
RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "unseeded": {"seed": None},
    "negative seed": {"seed": -3},
    "stop": {"stop": ["ka", "never said"]},
    "stop tokens": {"stop_token_ids": [300, 301, 302], "ignore_eos": True, "min_tokens": 3},
    "penalties": {"repetition_penalty": 1.3, "presence_penalty": 1.5, "frequency_penalty": -0.5},
    "bias": {"logit_bias": {"300": 5, "301": -100}, "allowed_token_ids": list(range(256, 400))},
    "grammar": {"structured_outputs": {"regex": "[ a-z]+[.]"}},
    "greedy": {"temperature": 0, "top_p": 0},
    "narrow": {"top_k": 3, "min_p": 0.1, "temperature": 1.7},
    "scored": {"logprobs": 2, "echo": True},
    "choices": {"n": 3},
    "prompts": {"prompt": [[72], [72, 105]], "n": 2},
    "best": {"prompt": ["a", "b"], "n": 2, "best_of": 5},
    "beams": {"use_beam_search": True, "n": 2, "best_of": 4, "length_penalty": 0.5},
    "no token": {"max_tokens": 0, "echo": True, "logprobs": 0},
}


def question(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a receipt that is sent to recompute its replies."""
    asked = {name: value for name, value in receipt.items() if name != "model"}
    which = [{name: each[name] for name in ("prompt", "choice")} for each in receipt["replies"]]
    return asked | {"replies": which}


def again(served: Served, receipt: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Recompute the replies of a receipt; return the new receipt and the texts."""
    answer = served.post(REPLAY, **question(receipt))
    assert answer.status_code == 200, answer.text
    return answer.get_json()["receipt"], answer.get_json()["texts"]


def test_a_long_reply_is_digested_in_parts(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest takes half a microsecond for each token, and there may be 1,024 replies."""
    counts: list[int] = []

    def counted(items: Iterable[Any]) -> Iterator[Any]:
        at = len(counts)
        counts.append(0)
        for each in items:
            counts[at] += 1
            yield each

    monkeypatch.setattr(receipts, "in_turns", counted)
    complete(served, prompt="Hi", n=3, max_tokens=7, ignore_eos=True, receipt=True)
    assert counts == [3, 7, 7, 7]


def by_hand(tokens: tuple[int, ...]) -> tuple[str, str]:
    """Compute digest and trail as the documents describe."""
    links = [b"\0" * 32]
    for token in tokens:
        links.append(hashlib.sha256(links[-1] + bytes([token % 256, token // 256, 0, 0])).digest())
    return links[-1].hex(), "".join(link.hex()[:2] for link in links[1:])


def test_a_receipt_tells_all_that_a_reply_hangs_on(served: Served) -> None:
    seed = lasting_seed("Hello", 6)
    answer = served.answer(text="Hello", seed=seed, max_tokens=6, stop_sequence="!", receipt=True)
    tokens, _ = rule.reply(b"Hello", seed, 6)
    digest, trail = by_hand(tuple(tokens))
    params = structs.asdict(SamplingParams(max_tokens=6, top_k=10, top_p=0.9))
    beams = [params.pop(name) for name in ("beams", "length_penalty", "early_stopping")]
    assert beams == [0, 1.0, False]  # so this reply does not hang on them
    assert answer["receipt"] == {
        "version": 1,
        "seed": seed,
        "parameters": json.loads(json.dumps(params)),
        "stop": ["!"],
        "prompts": [[*b"Hello"]],
        "model": "scripted",
        "build": "scripted-1",
        "context_length": 4096,
        "replies": [
            {
                "prompt": 0,
                "choice": 0,
                "finish_reason": "length",
                "tokens": 6,
                "digest": digest,
                "trail": trail,
            }
        ],
    }


def test_a_trail_parts_where_tokens_do() -> None:
    one, other = chain([1, 2, 3, 4]), chain([1, 2, 70_000, 4])
    assert one[0] != other[0]
    assert one[1][:4] == other[1][:4]
    assert one[1][4:6] != other[1][4:6]
    assert chain([]) == ("00" * 32, "")


def test_parameters_are_the_samplers() -> None:
    told = {field.name: field.default for field in structs.fields(Parameters)}
    assert told | {each.name: each.default for each in SELDOM} == {
        field.name: field.default for field in structs.fields(SamplingParams)
    }
    assert {told[each.name] for each in SELDOM} == {UNSET}
    params = SamplingParams(max_tokens=3, logit_bias=((1, 2.0),), stop_token_ids=(4,))
    assert Parameters.from_params(params).to_params() == params
    beams = SamplingParams(max_tokens=3, beams=4, length_penalty=0.5, early_stopping="never")
    assert Parameters.from_params(beams).to_params() == beams


def test_nobody_is_given_one_unasked(served: Served) -> None:
    assert "receipt" not in served.answer(text="Hello", max_tokens=2)
    assert "receipt" not in complete(served, max_tokens=2)
    assert "receipt" not in chat(served, max_tokens=2, receipt=False)
    assert all("receipt" not in chunk for chunk in events(served, CHAT, max_tokens=2))


def test_the_native_events_end_with_the_receipt_of_the_whole(served: Served) -> None:
    asked = {"text": "Hello", "seed": 5, "max_tokens": 20, "receipt": "true"}
    whole = served.answer(**asked)
    *_, end = served.post("/chat/scripted", **asked).text.rstrip().split("\n\n")
    assert json.loads(end.removeprefix("event: end\ndata: "))["receipt"] == whole["receipt"]


def test_raw_text_has_no_place_for_one(served: Served) -> None:
    message = error_of(served.post(text="Hello", receipt=True), 400)
    assert "stream: false" in message
    assert "/chat/<model>" in message
    assert served.engine.seatings == []


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize("usage", [True, False])
def test_a_streams_last_event_has_the_receipt(served: Served, path: str, usage: bool) -> None:
    asked = {"n": 3, "seed": 3, "max_tokens": 12, "receipt": True}
    options = {"stream_options": {"include_usage": True}} if usage else {}
    *chunks, last = events(served, path, **asked, **options)
    whole = (complete if path == COMPLETIONS else chat)(served, **asked)
    assert last["choices"] == []
    assert last["receipt"] == whole["receipt"]
    assert ("usage" in last) is usage
    assert all("receipt" not in chunk for chunk in chunks)
    assert [reply["choice"] for reply in last["receipt"]["replies"]] == [0, 1, 2]
    assert again(served, last["receipt"])[1] == texts(chunks, 3)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_what_is_computed_again_is_equal(served: Served, rules: dict[str, Any]) -> None:
    fields = {"seed": 11, "max_tokens": 40, "receipt": True} | rules
    answer = complete(served, **fields)
    receipt, computed = again(served, answer["receipt"])
    assert receipt == answer["receipt"]
    if "echo" not in rules:
        assert computed == [choice["text"] for choice in answer["choices"]]


def test_a_chat_is_replayed_without_its_template(served: Served) -> None:
    answer = chat(served, seed=4, max_tokens=20, receipt=True)
    receipt, (text,) = again(served, answer["receipt"])
    assert receipt == answer["receipt"]
    assert text == answer["choices"][0]["message"]["content"]


def test_only_what_is_told_is_computed(served: Served) -> None:
    asked = complete(served, prompt=["a", "b"], n=2, best_of=9, max_tokens=4, receipt=True)
    served.engine.seatings.clear()
    again(served, asked["receipt"])
    assert len(served.engine.seatings) == 4


def test_a_native_receipt_has_the_native_bounds(served: Served) -> None:
    answer = served.answer(text="Hi", seed=2**63 - 1, temperature=100, max_tokens=9, receipt=True)
    receipt, (text,) = again(served, answer["receipt"])
    assert receipt == answer["receipt"]
    assert text == answer["answer"]


def test_another_seed_is_another_receipt(served: Served) -> None:
    answer = served.answer(text="Hello", seed=5, max_tokens=20, receipt=True)
    receipt, (text,) = again(served, answer["receipt"] | {"seed": 6})
    assert text == spoken("Hello", 6, 20)
    assert receipt["replies"][0]["digest"] != answer["receipt"]["replies"][0]["digest"]


def test_another_build_refuses_unless_it_does_not_matter(served: Served) -> None:
    receipt = served.answer(text="Hello", max_tokens=4, receipt=True)["receipt"]
    for other in ({"build": "scripted-0"}, {"context_length": 99}):
        response = served.post(REPLAY, **question(receipt | other))
        error = refusal(response, 409)
        assert error["code"] == "build_changed"
        assert str(*other.values()) in error["message"]
    plain = {name: receipt[name] for name in receipt if name not in ("build", "context_length")}
    assert again(served, plain)[0] == receipt


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"version": 2}, "version"),
        ({"prompts": []}, "prompts"),
        ({"prompts": [[]]}, "prompts[0]"),
        ({"prompts": [[99_999]]}, "prompts"),
        ({"prompts": [[72], [99_999]]}, "prompts"),
        ({"replies": []}, "replies"),
        ({"replies": [{"prompt": 1, "choice": 0}]}, "replies"),
        ({"replies": [{"prompt": 0, "choice": 128}]}, "replies[0].choice"),
        ({"replies": [{"prompt": 0, "choice": 0, "digest": ""}]}, "replies[0].digest"),
        ({"parameters": {}}, "parameters.max_tokens"),
        ({"parameters": {"max_tokens": 1, "top_p": 0}}, "parameters.top_p"),
        ({"parameters": {"max_tokens": 1, "temperature": 101}}, "parameters.temperature"),
        ({"parameters": {"max_tokens": 1, "warmth": 1}}, "parameters.warmth"),
        ({"parameters": {"max_tokens": 1, "banned_tokens": [99_999]}}, "parameters"),
        ({"parameters": {"max_tokens": 1, "logit_bias": [[99_999, 1]]}}, "parameters"),
        ({"parameters": {"max_tokens": 1, "grammar": "none"}}, "parameters.grammar"),
        ({"model": "scripted"}, "model"),
    ],
)
def test_what_is_no_question_is_refused(served: Served, fields: dict[str, Any], param: str) -> None:
    receipt = served.answer(text="Hello", max_tokens=2, receipt=True)["receipt"]
    served.engine.seatings.clear()
    assert refusal(served.post(REPLAY, **question(receipt) | fields))["param"] == param
    assert served.engine.seatings == []
