"""Bodies of `/generate` with a prompt: vLLM's names, and those of two other services.

vLLM and FlexFlow call it `prompt`, the service with tasks `text`; one calls the model `model`, the
other `model_name`. Everything else is the same for all.
"""

from typing import Annotated

from msgspec import Meta

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.request.types import Count, ModelName, Sampling, Text
from rowcast.parameter import MOST

Number = Annotated[int, Meta(ge=1, le=128)]


class GenerateBody(Sampling, kw_only=True):
    """The fields of a request to continue a prompt."""

    model: ModelName | None = None
    model_name: ModelName | None = None
    max_tokens: Count | None = None
    best_of: Number | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    dyn_batch: Annotated[int, Meta(ge=1, le=MOST)] | None = None
    speculative_decoding: bool | None = None  # changes no byte
    session_id: str | None = None  # each reply has an id of its own
    user_id: str | None = None

    @property
    def choices(self) -> int:
        """The number of replies that are returned."""
        return self.n or 1

    @property
    def candidates(self) -> int:
        """The number of replies that are computed."""
        return self.best_of or self.choices

    @property
    def wanted_model(self) -> str | None:
        """The name of the model, if the body has one."""
        if self.model is not None and self.model_name not in {None, self.model}:
            raise InvalidField("model_name", "differs from model; send one of them")
        return self.model if self.model is not None else self.model_name

    @property
    def wanted_prompt(self) -> str:
        """The prompt's text."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse values that do not fit together."""
        if self.candidates < self.choices:
            raise InvalidField("best_of", f"is {self.best_of}; it must be at least n")
        if not self.stream:
            return
        if self.candidates > self.choices:
            raise InvalidField(
                "best_of", "cannot be streamed, because the best is known only at the end"
            )
        for name in ("logprobs", "receipt"):
            if getattr(self, name) not in {None, False}:
                raise InvalidField(name, "has no place in this stream; send stream: false")


class PromptBody(GenerateBody, kw_only=True):
    """POST /generate, as to vLLM's first server and to FlexFlow's."""

    prompt: Text

    @property
    def wanted_prompt(self) -> str:
        return self.prompt


class TextBody(GenerateBody, kw_only=True):
    """POST /generate, as to the service with tasks."""

    text: Text

    @property
    def wanted_prompt(self) -> str:
        return self.text
