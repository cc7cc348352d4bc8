"""Bodies of `/generate` with a prompt: vLLM's names, and those of two other services.

The prompt is `prompt` to vLLM and FlexFlow, and `text` to the service with tasks. The model may be
`model` or `model_name`. All other fields are the same.
"""

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.sampling import candidates_of
from rowcast.frontend.api.bodies.types import (
    Choices,
    Count,
    Likeliest,
    ModelName,
    Positive,
    Sampling,
    Text,
)


class GenerateBody(Sampling, kw_only=True):
    """The fields of a request to continue a prompt."""

    model: ModelName | None = None
    model_name: ModelName | None = None
    max_tokens: Count | None = None
    best_of: Choices | None = None
    logprobs: Likeliest | None = None
    dyn_batch: Positive | None = None
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
        return candidates_of(self.n, self.best_of, stream=False, beams=self.use_beam_search)

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
        candidates_of(self.n, self.best_of, stream=bool(self.stream), beams=self.use_beam_search)
        if not self.stream:
            return
        for name in ("logprobs", "receipt"):
            if getattr(self, name) not in {None, False}:
                raise InvalidField(name, "has no place in this stream; send stream: false")


class PromptBody(GenerateBody, kw_only=True):
    """POST /generate, as vLLM's first server and FlexFlow's take it."""

    prompt: Text

    @property
    def wanted_prompt(self) -> str:
        return self.prompt


class TextBody(GenerateBody, kw_only=True):
    """POST /generate, as the service with tasks takes it."""

    text: Text

    @property
    def wanted_prompt(self) -> str:
        return self.text
