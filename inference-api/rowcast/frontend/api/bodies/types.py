"""The request bodies of the OpenAI dialect, each as a typed structure.

The types define a body's form completely: `parsing.py` converts by them, without coercion, and the
API documents are generated from them. Names without effect are in `IGNORED` (accepted, no
consequence here) and `REFUSED` (would change the reply; with the reason).
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from rowcast.errors import InvalidField
from rowcast.frontend.request.deadline import LONGEST, SHORTEST
from rowcast.frontend.request.keep_alive import KEEP_ALIVE
from rowcast.parameter import MOST, Biases, Parameter, Tokens, bounded, with_fields
from rowcast.sampling_params import PARAMETERS
from rowcast.text.stop import LONGEST as LONGEST_STOP
from rowcast.text.stop import StopSequences

# What these titles mark differs from server to server; the documents fill it in.
TOKEN_ID, MODEL_NAME = "TokenId", "ModelName"
MOST_CHOICES, MOST_STOPS = 128, 16

Positive = Annotated[int, Meta(ge=1, le=MOST)]
Count = Annotated[int, Meta(ge=0, le=MOST)]
TokenId = Annotated[int, Meta(ge=0, le=MOST, title=TOKEN_ID)]
ModelName = Annotated[str, Meta(title=MODEL_NAME)]
Digits = Annotated[str, Meta(pattern="^[0-9]{1,10}$")]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=SHORTEST, le=LONGEST)]
StopText = Annotated[str, Meta(min_length=1, max_length=LONGEST_STOP)]
KeepAlive = Annotated[str, Meta(pattern=KEEP_ALIVE)]
Stops = Annotated[list[StopText], Meta(max_length=MOST_STOPS)]
Stop = StopText | Stops
Choices = Annotated[int, Meta(ge=1, le=MOST_CHOICES)]
Likeliest = Annotated[int, Meta(ge=0, le=20)]  # tokens named at each place
Object = dict[str, Any]
ToolName = Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]
SENT_AS: dict[Any, Any] = {Tokens: list[TokenId], Biases: dict[Digits, Bias]}

_TEXT = {"type": "string", "minLength": 1}
_TOKENS = {"type": "array", "minItems": 1, "items": {"type": "integer", "title": TOKEN_ID}}
_PROMPTS = [_TEXT, *({"type": "array", "minItems": 1, "items": each} for each in (_TEXT, _TOKENS))]
PromptInput = Annotated[Any, Meta(extra_json_schema={"anyOf": [_TOKENS, *_PROMPTS]})]


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """Any body: each names its model."""

    model: ModelName


class StreamOptions(Struct):
    """What a stream sends in addition to its pieces."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None  # no effect without include_usage
    include_obfuscation: bool | None = None


class JsonSchemaFormat(Struct):
    """A named JSON schema."""

    name: str | None = None
    schema: Object | None = None
    strict: bool | None = None
    description: str | None = None


class TextFormat(Struct, tag_field="type", tag="text"):
    """Any text."""


class JsonObjectFormat(Struct, tag_field="type", tag="json_object"):
    """Any JSON object."""


class SchemaFormat(Struct, tag_field="type", tag="json_schema"):
    """JSON that follows a schema."""

    json_schema: JsonSchemaFormat


class GrammarFormat(Struct, tag_field="type", tag="grammar"):
    """Text that follows a Lark grammar."""

    grammar: Text


ResponseFormat = TextFormat | JsonObjectFormat | SchemaFormat | GrammarFormat


class StructuredOutputs(Struct, forbid_unknown_fields=True):
    """A rule that the reply's text must follow."""

    json: str | Object | None = None
    regex: Text | None = None
    choice: Annotated[list[Text], Meta(min_length=1, max_length=1024)] | None = None
    grammar: Text | None = None
    json_object: bool | None = None


def _field(parameter: Parameter) -> tuple[str, Any, None]:
    """Return a sampling parameter as a field of a body: name, type and default."""
    kind = bounded(SENT_AS.get(parameter.type, parameter.type), parameter.openai_bounds)
    return parameter.openai_name, kind | None, None


@with_fields(_field(each) for each in PARAMETERS if each.openai)
class ReplyFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of all requests for replies, besides the sampling parameters."""

    stream: bool | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Stop | None = None
    receipt: bool | None = None
    timeout: Seconds | None = None
    keep_alive: int | float | KeepAlive | None = None
    user: str | None = None
    cache_salt: Text | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: str | Object | None = None
    guided_regex: Text | None = None
    guided_choice: Annotated[list[Text], Meta(min_length=1, max_length=1024)] | None = None
    guided_grammar: Text | None = None

    @property
    def stop_sequences(self) -> StopSequences:
        """The strings that end a reply."""
        return StopSequences([self.stop] if isinstance(self.stop, str) else self.stop or ())


class Sampling(ReplyFields, kw_only=True):
    """The same, and the fields that /v1/responses does not have."""

    n: Choices | None = None
    use_beam_search: bool | None = None
    response_format: ResponseFormat | None = None


class ReplyBody(Sampling, kw_only=True):
    """The fields that completions and chat share."""

    model: ModelName
    stream_options: StreamOptions | None = None


class CompletionBody(ReplyBody, kw_only=True):
    """POST /v1/completions."""

    prompt: PromptInput
    max_tokens: Count | None = None
    best_of: Choices | None = None
    echo: bool | None = None
    logprobs: Likeliest | None = None
    add_special_tokens: bool | None = None
    return_token_ids: bool | None = None


class FunctionCall(Struct):
    """A function's name and its arguments, as JSON in a string."""

    name: str
    arguments: str


class CustomCall(Struct):
    """A custom tool's name and its input."""

    name: str
    input: str


def check_kind(value: Struct, kind: str) -> None:
    """Raise if the field that `type` names is missing."""
    if getattr(value, kind) is None:
        raise ValueError(f"Object missing required field `{kind}`")


class ToolCall(Struct):
    """A call in an earlier assistant message; `type` tells which kind."""

    id: str
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    type: Literal["function", "custom"] = "function"

    def __post_init__(self) -> None:
        check_kind(self, self.type)


class TextPart(Struct, tag_field="type", tag="text"):
    """A text part of a message."""

    text: str


class RefusalPart(Struct, tag_field="type", tag="refusal"):
    """A refusal in an assistant's message; templates get it as text."""

    refusal: str


class ImageUrl(Struct):
    """The address of an image."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImageUrlPart(Struct, tag_field="type", tag="image_url"):
    """An image in OpenAI's format."""

    image_url: ImageUrl


class ImagePart(Struct, tag_field="type", tag="image"):
    """An image, by its address or as a data: URL."""

    image: str


Parts = str | Annotated[list[TextPart | ImageUrlPart | ImagePart], Meta(min_length=1)]
TextParts = str | Annotated[list[TextPart | RefusalPart], Meta(min_length=1)]


class SystemMessage(Struct, tag_field="role", tag="system"):
    """Instructions for the model."""

    content: TextParts
    name: str | None = None


class DeveloperMessage(Struct, tag_field="role", tag="developer"):
    """The newer name of a system message."""

    content: TextParts
    name: str | None = None


class UserMessage(Struct, tag_field="role", tag="user"):
    """A message of a person."""

    content: Parts
    name: str | None = None


class AssistantMessage(Struct, tag_field="role", tag="assistant"):
    """An earlier message of the model."""

    content: TextParts | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None  # another name for the same


class ToolMessage(Struct, tag_field="role", tag="tool"):
    """The result of a tool call."""

    content: TextParts
    tool_call_id: str


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
Messages = Annotated[list[Message], Meta(min_length=1, max_length=10_000)]


class Function(Struct):
    """A function that the model may call."""

    name: ToolName
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class TextInput(Struct, tag_field="type", tag="text"):
    """Any input."""


class GrammarDefinition(Struct):
    """A grammar, in one of two languages."""

    definition: Text
    syntax: Literal["lark", "regex"]


class GrammarInput(Struct, tag_field="type", tag="grammar"):
    """Input that follows a grammar."""

    grammar: GrammarDefinition


class Custom(Struct):
    """A tool whose input is text."""

    name: ToolName
    description: str | None = None
    format: TextInput | GrammarInput | None = None


class Tool(Struct):
    """A tool; `type` tells which kind."""

    function: Function | None = None
    custom: Custom | None = None
    type: Literal["function", "custom"] = "function"

    def __post_init__(self) -> None:
        check_kind(self, self.type)

    @property
    def name(self) -> str:
        """The name by which it is called."""
        named = self.function or self.custom
        return named.name if named else ""


class Named(Struct):
    """The name of a tool."""

    name: str


class NamedTool(Struct):
    """A tool by kind and name."""

    function: Named | None = None
    custom: Named | None = None
    type: Literal["function", "custom"] = "function"

    def __post_init__(self) -> None:
        check_kind(self, self.type)

    @property
    def name(self) -> str:
        """The tool's name."""
        named = self.function or self.custom
        return named.name if named else ""


class AllowedTools(Struct):
    """Some of the tools; with `required`, one of them must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Meta(min_length=1, max_length=128)]


class ToolChoice(Struct):
    """The tool that must be called, or the tools that may be."""

    function: Named | None = None
    custom: Named | None = None
    allowed_tools: AllowedTools | None = None
    type: Literal["function", "custom", "allowed_tools"] = "function"

    def __post_init__(self) -> None:
        check_kind(self, self.type)


class ChatBody(ReplyBody, kw_only=True):
    """POST /v1/chat/completions."""

    messages: Messages
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    logprobs: bool | None = None
    top_logprobs: Likeliest | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: Object | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None

    def __post_init__(self) -> None:
        _check_ending(self)


class CountBody(Body, kw_only=True):
    """POST /v1/count_tokens."""

    conversation: str | Messages


class TokenizeText(Struct, forbid_unknown_fields=True, kw_only=True):
    """POST /tokenize with a text."""

    model: ModelName | None = None
    prompt: str
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None


class TokenizeMessages(Struct, forbid_unknown_fields=True, kw_only=True):
    """POST /tokenize with messages, as the prompt of a chat."""

    model: ModelName | None = None
    messages: Messages
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    chat_template_kwargs: Object | None = None

    def __post_init__(self) -> None:
        _check_ending(self)


def _check_ending(body: ChatBody | TokenizeMessages) -> None:
    """Refuse to both continue the last message and begin a new one."""
    if body.continue_final_message and body.add_generation_prompt:
        raise InvalidField(
            "continue_final_message",
            "cannot be true together with add_generation_prompt; send one of them",
        )


class DetokenizeBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """POST /detokenize."""

    model: ModelName | None = None
    tokens: list[TokenId]


IGNORED = frozenset(
    {
        "cache_salt",  # where nothing is computed; the other bodies have it as a field
        "metadata",
        "prediction",
        "priority",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "request_id",
        "safety_identifier",
        "service_tier",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "store",
        "verbosity",
    }
)

# Why a name is refused, and the values for which it is accepted because they have no effect.
REFUSED: dict[str, tuple[str, tuple[object, ...]]] = {
    "suffix": ("is not supported: this model only continues a text", ("",)),
    "audio": ("is not supported: replies are text", ()),
    "modalities": ("is not supported: replies are text", (["text"],)),
    "functions": ("is no longer supported; send tools", ([],)),
    "function_call": ("is no longer supported; send tool_choice", ("none", "auto")),
    "web_search_options": ("is not supported: this server does not search", ()),
    "include_stop_str_in_output": ("is not supported: stop sequences are never sent", (False,)),
    "truncate_prompt_tokens": ("is not supported; send fewer tokens", ()),
    "bad_words": ("is not supported; send logit_bias", ([],)),
    "prompt_logprobs": ("is not supported; send echo and logprobs to /v1/completions", ()),
}
