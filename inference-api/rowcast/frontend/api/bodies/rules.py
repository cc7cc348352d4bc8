"""The rule that a reply must follow: OpenAI's `response_format`, and vLLM's keys.

At most one rule per request. Rules are checked outside this process; one that cannot be followed
gives a 400 that names its field and the fault.
"""

from collections.abc import Callable, Iterator
from typing import Any

from rowcast.errors import InvalidField, TooCostly
from rowcast.frontend.api.bodies.types import (
    GrammarFormat,
    JsonObjectFormat,
    Sampling,
    SchemaFormat,
    StructuredOutputs,
)
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.offload import tasks
from rowcast.text import bounded_json
from rowcast.text.rules.grammar import GrammarFault
from rowcast.text.rules.schema_rule import Rule

_OBJECT = {"type": "object"}

# The field with the rule, the task that compiles it, and the task's arguments.
Wanted = tuple[str, Callable[..., Rule], *tuple[object, ...]]


def grammar_of(served: ServedModel, request: Request, body: Sampling) -> Rule:
    """Return the rule that a body requests."""
    rules = list(_rules(body))
    if len(rules) > 1:
        names = " and ".join(name for name, *_ in rules)
        raise InvalidField(
            rules[1][0], f"cannot be combined with another rule; send only one of {names}"
        )
    return compiled(served, request, *rules[0]) if rules else Rule()


def compiled(
    served: ServedModel,
    request: Request,
    field: str,
    task: Callable[..., Rule],
    *arguments: object,
) -> Rule:
    """Compile and check a rule in a helper; report its faults under `field`."""
    try:
        return served.elsewhere(request, task, *arguments)
    except (GrammarFault, TooCostly) as fault:
        raise InvalidField(field, f"cannot be followed: {fault}") from fault


def _rules(body: Sampling) -> Iterator[Wanted]:
    yield from _format_rules(body)
    outputs = body.structured_outputs
    if outputs is not None:
        yield from _output_rules(outputs, "structured_outputs.")
    guided = StructuredOutputs(
        json=body.guided_json,
        regex=body.guided_regex,
        choice=body.guided_choice,
        grammar=body.guided_grammar,
    )
    yield from _output_rules(guided, "guided_")


def _format_rules(body: Sampling) -> Iterator[Wanted]:
    match body.response_format:
        case JsonObjectFormat():
            yield "response_format", tasks.schema_rule, _OBJECT, False
        case SchemaFormat(json_schema=named):
            field = "response_format.json_schema.schema"
            if named.schema is None:
                raise InvalidField(field, "is missing")
            yield field, tasks.schema_rule, named.schema, bool(named.strict)
        case GrammarFormat(grammar=text):
            yield "response_format.grammar", tasks.lark_rule, text


def _output_rules(outputs: StructuredOutputs, before: str) -> Iterator[Wanted]:
    if outputs.json is not None:
        name = f"{before}json"
        yield name, tasks.schema_rule, schema_of(name, outputs.json), False
    if outputs.regex is not None:
        yield f"{before}regex", tasks.regex_rule, outputs.regex
    if outputs.choice is not None:
        yield f"{before}choice", tasks.choice_rule, outputs.choice
    if outputs.grammar is not None:
        yield f"{before}grammar", tasks.lark_rule, outputs.grammar
    if outputs.json_object:
        yield f"{before}json_object", tasks.schema_rule, _OBJECT, False


def schema_of(field: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    """Return a schema, which may come as a string of JSON."""
    if not isinstance(schema, str):
        return schema
    try:
        read = bounded_json.loads(schema)
    except bounded_json.TooDeep as error:
        raise InvalidField(field, f"is {error}") from error
    except ValueError as error:
        raise InvalidField(field, f"is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise InvalidField(field, "is not a JSON schema: expected an object")
    return read
