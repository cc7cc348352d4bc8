"""The forms of prompts, and the parameters of each.

    "text"   {"prompt": "text"}   [1, 2, 3]   {"prompt_token_ids": [1, 2, 3]}
    or an iterable of these

A list is read at once; a generator, as its prompts are needed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeVar

from rowcast.errors import InvalidField
from rowcast.offline.params import SamplingParams

PromptInput = str | Sequence[int] | Mapping[str, Any]
Prompts = PromptInput | Iterable[PromptInput]
Params = SamplingParams | Sequence[SamplingParams] | None

_FORMS = 'a string, token ids, {"prompt": "…"} or {"prompt_token_ids": […]}'
_KEYS = {"prompt", "prompt_token_ids"}
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True)
class Input:
    """One prompt: its text, or its tokens. `name`: how messages call it."""

    name: str
    text: str | None
    tokens: tuple[int, ...] = ()


def is_one(prompts: object) -> bool:
    """True for a single prompt."""
    return isinstance(prompts, str | Mapping) or _are_tokens(prompts)


def inputs_of(prompts: Prompts) -> Iterator[Input]:
    """Yield the prompts. Raises InvalidField at the first that is invalid."""
    if is_one(prompts):
        yield _input("prompt", prompts)
        return
    if not isinstance(prompts, Iterable):
        raise InvalidField("prompts", f"must be {_FORMS}, or a list of these")
    for number, prompt in enumerate(prompts):
        yield _input(f"prompts[{number}]", prompt)


def paired(
    inputs: Iterable[_One], params: Params, count: int | None
) -> Iterator[tuple[_One, SamplingParams | None]]:
    """Yield each prompt with its parameters. `count`: the number of prompts, if it is known."""
    if params is None or isinstance(params, SamplingParams):
        yield from zip(inputs, repeat(params))
        return
    if wrong := [each for each in params if not isinstance(each, SamplingParams)]:
        raise InvalidField("sampling_params", f"contains {wrong[0]!r}; give SamplingParams")
    if count is not None and count != len(params):
        raise InvalidField(
            "sampling_params", f"has {len(params)} entries for {count} prompts; give one for each"
        )
    left = iter(params)
    for one in inputs:
        own = next(left, None)
        if own is None:
            raise InvalidField("sampling_params", f"has only {len(params)} entries; give more")
        yield one, own


def _input(name: str, prompt: object) -> Input:
    if isinstance(prompt, Mapping):
        prompt = _of_mapping(name, prompt)
    if isinstance(prompt, str) and prompt:
        return Input(name, prompt)
    if _are_tokens(prompt):
        return Input(name, None, tuple(prompt))  # type: ignore[arg-type]
    if prompt in ("", [], ()):
        raise InvalidField(name, "is empty; send at least one character or token")
    raise InvalidField(name, f"must be {_FORMS}")


def _of_mapping(name: str, prompt: Mapping[str, Any]) -> object:
    """Return the text or the tokens of a prompt in vLLM's form."""
    if unknown := prompt.keys() - _KEYS:
        raise InvalidField(name, f"has {min(map(str, unknown))!r}; it must be {_FORMS}")
    tokens = prompt.get("prompt_token_ids")
    return prompt.get("prompt") if tokens is None else tokens


def _are_tokens(value: object) -> bool:
    return (
        isinstance(value, list | tuple) and bool(value) and all(type(each) is int for each in value)
    )
