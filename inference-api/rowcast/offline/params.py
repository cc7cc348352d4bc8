"""How replies are generated, by vLLM's names and with its defaults.

    SamplingParams(temperature=0.8, top_p=0.95, max_tokens=64, seed=7)

Values are checked when they are given, by the rules of the OpenAI dialect: `body_of` makes the
fields of its bodies, so that equal parameters give the bytes of the server's replies.
"""

from dataclasses import dataclass, fields
from typing import Any

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.beams import beams_of
from rowcast.frontend.api.bodies.parsing import as_struct
from rowcast.frontend.api.bodies.sampling import candidates_of
from rowcast.frontend.api.bodies.types import CompletionBody

UNKNOWN_MODEL = "model"  # fills a field that is not used
MOST_LIKELY = 20  # tokens named at each position
# What is not an argument of the OpenAI dialect; the others are sent as they are.
OWN = ("max_tokens", "logprobs", "prompt_logprobs", "include_stop_str_in_output", "detokenize")
# vLLM's names that change nothing here: the value that is accepted, and what to do instead.
ONLY = {
    "detokenize": (True, "the text is always returned"),
    "skip_special_tokens": (True, "a text never has special tokens"),
    "spaces_between_special_tokens": (True, "a text never has special tokens"),
    "logits_processors": (None, "use logit_bias, allowed_token_ids or structured_outputs"),
    "bad_words": (None, "use logit_bias"),
    "truncate_prompt_tokens": (None, "send fewer tokens"),
}


@dataclass(slots=True, kw_only=True)
class StructuredOutputsParams:
    """The rule that a reply's text must follow; at most one of them."""

    json: str | dict[str, Any] | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None

    def body(self) -> dict[str, Any]:
        """Return the fields that are set."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


GuidedDecodingParams = StructuredOutputsParams  # its earlier name


@dataclass(slots=True, kw_only=True)
class SamplingParams:
    """How the tokens of a reply are chosen, and when it ends. docs/sampling-params.md has each."""

    n: int = 1
    best_of: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    logit_bias: dict[int, float] | None = None
    allowed_token_ids: list[int] | None = None
    structured_outputs: StructuredOutputsParams | None = None
    guided_decoding: StructuredOutputsParams | None = None
    bad_words: list[str] | None = None
    truncate_prompt_tokens: int | None = None
    logits_processors: list[Any] | None = None
    use_beam_search: bool = False
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True

    def __post_init__(self) -> None:
        """Check all values. Raises InvalidField."""
        self.checked()

    @property
    def sampling_type(self) -> str:
        """`greedy` or `random`."""
        return "random" if self.temperature else "greedy"

    @property
    def likeliest(self) -> int | None:
        """How many of the likeliest tokens must be named at each position; None: no scores."""
        wanted = [each for each in (self.logprobs, self.prompt_logprobs) if each is not None]
        return max(wanted, default=None)

    def checked(self) -> CompletionBody:
        """Return the body of a completion with these parameters. Raises InvalidField."""
        for name, (only, instead) in ONLY.items():
            value = getattr(self, name)
            if value not in (only, []):
                raise InvalidField(name, f"is {value!r}, which is not supported: {instead}")
        for name in ("logprobs", "prompt_logprobs"):
            _check_count(name, getattr(self, name), MOST_LIKELY)
        body = as_struct({"model": UNKNOWN_MODEL, "prompt": "", **body_of(self)}, CompletionBody)
        candidates_of(body.n, body.best_of, stream=False, beams=body.use_beam_search)
        beams_of(body)
        return body


def body_of(params: SamplingParams) -> dict[str, Any]:
    """Return the fields of a body in the OpenAI dialect."""
    values = {field.name: getattr(params, field.name) for field in fields(params)}
    sent = {name: value for name, value in values.items() if name not in (*OWN, *ONLY)}
    sent["max_tokens"] = params.max_tokens
    if params.logit_bias is not None:
        sent["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    rule = sent.pop("guided_decoding") or params.structured_outputs
    sent["structured_outputs"] = rule.body() if rule else None
    return {name: value for name, value in sent.items() if value is not None}


def _check_count(name: str, value: object, most: int) -> None:
    if value is not None and (type(value) is not int or not 0 <= value <= most):
        raise InvalidField(name, f"is {value!r}; it must be a whole number from 0 to {most}")
