"""The body of POST /v1/responses, as a typed structure.

`reading.py` converts by these types, without coercion, and the API documents are generated from
them.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rowcast.frontend.api.bodies.types import (
    JsonObjectFormat,
    Likeliest,
    ModelName,
    Object,
    Positive,
    ReplyFields,
    TextFormat,
    ToolName,
)
from rowcast.frontend.api.openai.responses.request.items import InputItems

LOGPROBS = "message.output_text.logprobs"

Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
Includable = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class NamedSchemaFormat(Struct, tag_field="type", tag="json_schema"):
    """JSON that follows a named schema."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    schema: Object
    description: str | None = None
    strict: bool | None = None


class TextConfig(Struct, forbid_unknown_fields=True):
    """The form of the answer's text."""

    format: TextFormat | JsonObjectFormat | NamedSchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None  # no effect


class ReasoningConfig(Struct):
    """How the model is to think. Templates get `effort`; no summaries are made."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class FunctionTool(Struct, tag_field="type", tag="function"):
    """A function that the model may call."""

    name: ToolName
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class FunctionChoice(Struct, tag_field="type", tag="function"):
    """A function by its name."""

    name: str


class AllowedFunctions(Struct, tag_field="type", tag="allowed_tools"):
    """Some of the tools; with `required`, one of them must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[FunctionChoice], Meta(min_length=1, max_length=128)]


class EventOptions(Struct):
    """Options of a stream."""

    include_obfuscation: bool | None = None  # no effect


class ResponseBody(ReplyFields, kw_only=True):
    """POST /v1/responses."""

    model: ModelName
    input: str | InputItems
    instructions: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: Positive | None = None
    stream_options: EventOptions | None = None
    background: bool | None = None
    store: bool | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | AllowedFunctions | None = (
        None
    )
    parallel_tool_calls: bool | None = None
    max_tool_calls: Positive | None = None  # of tools that the server runs: there are none
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    include: list[Includable] | None = None
    top_logprobs: Likeliest | None = None
    truncation: Literal["disabled"] | None = None
    metadata: Metadata | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    chat_template_kwargs: Object | None = None

    @property
    def stored(self) -> bool:
        """True if the response is stored, as it is by default."""
        return self.store is not False

    @property
    def with_logprobs(self) -> bool:
        """True if log-probabilities were requested."""
        return LOGPROBS in (self.include or ())
