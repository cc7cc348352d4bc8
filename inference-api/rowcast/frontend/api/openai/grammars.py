"""Which rule a reply must follow: OpenAI's `response_format`, and the keys that vLLM's users know.

One rule a request. Rules are checked outside of this process; one that cannot be followed is a 400
that names its field and the fault.
"""

from collections.abc import Callable, Iterator
from typing import Any

from rowcast.errors import InvalidField, TooCostly
from rowcast.frontend.api.openai.bodies import (
    GrammarFormat,
    JsonObjectFormat,
    Sampling,
    SchemaFormat,
    StructuredOutputs,
)
from rowcast.frontend.frontend import Frontend
from rowcast.offload import tasks
from rowcast.text import bounded_json
from rowcast.text.grammar import GrammarFault

_OBJECT = {"type": "object"}

Rule = tuple[str, Callable[..., str], object]  # the field that asks, the task, its argument


def grammar_of(frontend: Frontend, body: Sampling) -> str:
    """The grammar that a body asks for; "" for any text."""
    rules = list(_rules(body))
    if len(rules) > 1:
        names = " and ".join(name for name, *_ in rules)
        raise InvalidField(rules[1][0], f"can not be sent with another rule: {names}")
    return compiled(frontend, *rules[0]) if rules else ""


def compiled(frontend: Frontend, field: str, task: Callable[..., str], *arguments: object) -> str:
    """Have a grammar made and checked; its faults are the field's."""
    try:
        return frontend.elsewhere(task, *arguments)
    except (GrammarFault, TooCostly) as fault:
        raise InvalidField(field, f"can not be followed: {fault}") from fault


def _rules(body: Sampling) -> Iterator[Rule]:
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


def _format_rules(body: Sampling) -> Iterator[Rule]:
    match body.response_format:
        case JsonObjectFormat():
            yield "response_format", tasks.schema_grammar, _OBJECT
        case SchemaFormat(json_schema=named):
            field = "response_format.json_schema.schema"
            if named.schema is None:
                raise InvalidField(field, "is missing")
            yield field, tasks.schema_grammar, named.schema
        case GrammarFormat(grammar=text):
            yield "response_format.grammar", tasks.lark_grammar, text


def _output_rules(outputs: StructuredOutputs, before: str) -> Iterator[Rule]:
    if outputs.json is not None:
        name = f"{before}json"
        yield name, tasks.schema_grammar, _schema(name, outputs.json)
    if outputs.regex is not None:
        yield f"{before}regex", tasks.regex_grammar, outputs.regex
    if outputs.choice is not None:
        yield f"{before}choice", tasks.choice_grammar, outputs.choice
    if outputs.grammar is not None:
        yield f"{before}grammar", tasks.lark_grammar, outputs.grammar
    if outputs.json_object:
        yield f"{before}json_object", tasks.schema_grammar, _OBJECT


def _schema(field: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    """A schema that may come as a string of JSON."""
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
