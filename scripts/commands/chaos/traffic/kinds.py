"""Requests of every kind and dialect, drawn from dice: a kind is a function and a line in `KINDS`.

All carry a seed, so that each has one right answer. All texts begin alike, so that a server may
reuse what it has computed of the beginning; then a number makes them different.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from commands.chaos.traffic.request import Form, Request

MODEL = "falcon40b"  # an alias of whatever is served
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
_OPENINGS = (
    "Once upon a time there was a lighthouse keeper who",
    "Write a short story about a lost key.",
    "The old dog and the young cat",
    "Ada met a stranger on the bridge, and",
)
_BEGINNING = (
    "In a small town by the sea there lived an old man who mended clocks. Every morning he opened "
    "his shop, wound the tall clock by the door, and listened. The children came after school to "
    "hear the bells, and he told each of them one story, and never the same one twice. When the "
    "winter came and the harbour froze, the people lit their lamps early, and they asked him for "
    "another story. "
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 4},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Draw:
    """The parameters of one request."""

    text: str
    seed: int
    tokens: int
    dice: random.Random
    model: str = MODEL

    @property
    def common(self) -> dict[str, object]:
        """The fields common to both of OpenAI's routes."""
        return {"model": self.model, "seed": self.seed, "max_tokens": self.tokens}

    def native(self, kind: str, form: Form, path: str, **more: object) -> Request:
        body = {"text": self.text, "seed": self.seed, "max_tokens": self.tokens, **more}
        return Request.of(kind, form, path, body)

    def completion(self, kind: str, **more: object) -> Request:
        form: Form = "events" if more.get("stream", True) else "json"
        body = {"prompt": self.text, "stream": True, **self.common, **more}
        return Request.of(kind, form, COMPLETIONS, body)

    def chat(self, kind: str, **more: object) -> Request:
        form: Form = "events" if more.get("stream", True) else "json"
        messages = [{"role": "user", "content": self.text}]
        body = {"messages": messages, "stream": True, **self.common, **more}
        return Request.of(kind, form, CHAT, body)


def _raw(draw: Draw) -> Request:
    return draw.native("raw", "raw", f"/inference/{draw.model}", temperature=1.2, top_k=50)


def _raw_greedy(draw: Draw) -> Request:
    return draw.native("raw greedy", "raw", f"/predictions/{draw.model}", top_k=1)


def _raw_stop(draw: Draw) -> Request:
    stop = draw.dice.choice(("!", ";", "? ", " the end"))
    return draw.native("raw stop", "raw", "/", stop_sequence=stop, return_prompt=True)


def _events(draw: Draw) -> Request:
    return draw.native("events", "events", f"/chat/{draw.model}", top_p=0.95)


def _whole(draw: Draw) -> Request:
    return draw.native("whole", "json", f"/inference/{draw.model}", stream=False)


def _completion_greedy(draw: Draw) -> Request:
    usage = {"include_usage": True}
    return draw.completion("completion greedy", temperature=0, stream_options=usage)


def _completion_choices(draw: Draw) -> Request:
    return draw.completion("completion n=3", n=3, temperature=0.9, stop=["!", "?\n"])


def completion_logprobs(draw: Draw) -> Request:
    return draw.completion("completion logprobs", logprobs=3, ignore_eos=True)


def _completion_penalties(draw: Draw) -> Request:
    return draw.completion(
        "completion penalties",
        presence_penalty=0.6,
        frequency_penalty=0.4,
        repetition_penalty=1.2,
        min_p=0.02,
        logit_bias={"300": -3, "301": 2},
    )


def _completion_whole(draw: Draw) -> Request:
    return draw.completion("completion whole", stream=False, n=2, best_of=3, logprobs=0)


def _chat(draw: Draw) -> Request:
    return draw.chat("chat", temperature=0.7, stream_options={"include_usage": True})


def _chat_logprobs(draw: Draw) -> Request:
    return draw.chat("chat logprobs", logprobs=True, top_logprobs=2, min_tokens=20)


def _chat_schema(draw: Draw) -> Request:
    rule = {"type": "json_schema", "json_schema": {"name": "card", "schema": _SCHEMA}}
    return draw.chat("chat schema", response_format=rule)


def _chat_choices(draw: Draw) -> Request:
    return draw.chat("chat n=2", n=2, stop=["."], frequency_penalty=0.5)


def _chat_whole(draw: Draw) -> Request:
    return draw.chat("chat whole", stream=False)


KINDS: tuple[Callable[[Draw], Request], ...] = (
    *(_raw, _raw_greedy, _raw_stop, _events, _whole),
    *(_completion_greedy, _completion_choices, completion_logprobs, _completion_penalties),
    *(_completion_whole, _chat, _chat_logprobs, _chat_schema, _chat_choices, _chat_whole),
)
STREAMED = tuple(kind for kind in KINDS if not kind.__name__.endswith("whole"))
ONE_STREAM = (_raw, _events, completion_logprobs, _chat)  # one choice each, until its maximum
NAMING = tuple(kind for kind in KINDS if kind is not _raw_stop)  # their requests name a model


def mixed(
    dice: random.Random,
    count: int,
    least: int,
    most: int,
    *,
    kinds: tuple[Callable[[Draw], Request], ...] = KINDS,
    model: str = MODEL,
) -> list[Request]:
    """Return `count` requests of all kinds in turn, of `least` to `most` tokens."""
    return [
        kinds[number % len(kinds)](_draw(dice, number, least, most, model))
        for number in range(count)
    ]


def raw(
    dice: random.Random, count: int, least: int, most: int, model: str = MODEL
) -> list[Request]:
    """Return raw text requests alone, where kinds do not matter."""
    return mixed(dice, count, least, most, kinds=(_raw,), model=model)


def _draw(dice: random.Random, number: int, least: int, most: int, model: str) -> Draw:
    text = f"{_BEGINNING}{number}: {dice.choice(_OPENINGS)}"
    return Draw(text, dice.randrange(2**40), dice.randint(least, most), dice, model)
