"""TGI's bodies, as typed structures. A null is the same as a field that was not sent."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from rowcast.frontend.api.bodies.types import (
    Choices,
    Likeliest,
    ModelName,
    Object,
    Positive,
    Stops,
    Text,
)

Share = Annotated[float, Meta(gt=0, le=1)]


class JsonGrammar(Struct, tag_field="type", tag="json", forbid_unknown_fields=True):
    """JSON that follows a schema; the schema may come as a string."""

    value: Object | str


class NamedGrammar(Struct, forbid_unknown_fields=True):
    """A schema and its name."""

    schema: Object
    name: str | None = None


class SchemaGrammar(Struct, tag_field="type", tag="json_schema", forbid_unknown_fields=True):
    """JSON that follows a named schema."""

    value: NamedGrammar


class RegexGrammar(Struct, tag_field="type", tag="regex", forbid_unknown_fields=True):
    """Text that a regular expression matches."""

    value: Text


class GenerateParameters(Struct, forbid_unknown_fields=True, kw_only=True):
    """How the reply is generated, and what the answer shows of it."""

    max_new_tokens: Positive | None = None
    do_sample: bool | None = None
    temperature: Annotated[float, Meta(gt=0, le=100)] | None = None
    top_k: Positive | None = None
    top_p: Share | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=100)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    stop: Stops | None = None
    grammar: JsonGrammar | SchemaGrammar | RegexGrammar | None = None
    truncate: Positive | None = None
    best_of: Choices | None = None
    return_full_text: bool | None = None
    details: bool | None = None
    decoder_input_details: bool | None = None
    top_n_tokens: Likeliest | None = None
    typical_p: Share | None = None  # these three are refused, unless they have no effect
    watermark: bool | None = None
    adapter_id: str | None = None

    @property
    def samples(self) -> bool:
        """True if tokens are drawn; otherwise each is the likeliest one."""
        return bool(
            self.do_sample
            or self.temperature not in {None, 1}
            or self.top_k
            or self.top_p not in {None, 1}
        )

    @property
    def shows_details(self) -> bool:
        return bool(self.details or self.decoder_input_details)


class InputsBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A body of TGI. `model` is ours; `options` is for another service, and ignored."""

    inputs: Text
    parameters: GenerateParameters | None = None
    stream: bool | None = None
    model: ModelName | None = None
    options: dict[str, Any] | None = None
