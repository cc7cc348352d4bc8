"""Chats: tens of thousands of messages, deep and wide bodies, tools, arguments for templates."""

from __future__ import annotations

import json

from commands.abuse.attacks.draw import (
    LARGEST_BODY,
    LISTS,
    OBJECTS,
    SCHEMAS,
    Draw,
    nested,
    with_json,
)
from commands.abuse.attacks.kind import Kind, Shots, with_needs
from commands.abuse.attacks.shot import CHAT, Shot

_USER = {"role": "user", "content": "Hello"}


def _empty(draw: Draw) -> Shots:
    return draw.chat_shot(messages=[{"role": "user", "content": ""}] * draw.about(100_000))


def _messages(draw: Draw) -> Shots:
    message = {"role": draw.one_of("user", "system", "developer"), "content": draw.text(20)}
    return draw.chat_shot(messages=[message] * draw.about(20_000), copies=draw.about(3))


def _parts(draw: Draw) -> Shots:
    parts = [{"type": "text", "text": draw.text(3)}] * draw.about(60_000)
    return draw.chat_shot(messages=[{"role": "user", "content": parts}])


def _long_message(draw: Draw) -> Shots:
    text = draw.text(min(draw.about(500_000), LARGEST_BODY // 4))
    return draw.chat_shot(messages=[{"role": "user", "content": text}], copies=draw.about(4))


def _nested(field: str) -> Kind:
    def make(draw: Draw) -> Shots:
        nesting = LISTS if draw.exact else draw.dice.choice((LISTS, OBJECTS))
        text = nested(draw.about(600), nesting)
        return Shot(path=CHAT, body=with_json(draw.chat(), field, f'{{"x": {text}}}'))

    return Kind(f"m8-nested-{field.replace('_', '-')}", f"{field}, deeply nested", make)


def _nested_body(draw: Draw) -> Shots:
    return Shot(path=CHAT, body=f'{{"metadata": {nested(draw.about(100_000))}}}'.encode())


def _nested_schema(draw: Draw) -> Shots:
    named = f'{{"name": "a", "schema": {nested(draw.about(480), SCHEMAS)}}}'
    text = f'{{"type": "json_schema", "json_schema": {named}}}'
    return Shot(path=CHAT, body=with_json(draw.chat(), "response_format", text))


def _nested_arguments(draw: Draw) -> Shots:
    function = {"name": "f", "arguments": nested(draw.about(960))}
    call = {"id": "c", "type": "function", "function": function}
    calls = {"role": "assistant", "content": None, "tool_calls": [call]}
    answer = {"role": "tool", "tool_call_id": "c", "content": "1"}
    return draw.chat_shot(messages=[_USER, calls, answer], tools=[_tool("f", {"type": "object"})])


def _tool(name: str, parameters: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def _tools(draw: Draw) -> Shots:
    count = min(128, draw.about(128))
    names = {f"p{at}": {"type": "string", "maxLength": at} for at in range(draw.about(100))}
    tools = [_tool(f"f{at}", {"type": "object", "properties": names}) for at in range(count)]
    choice = draw.one_of("required", "auto", {"type": "function", "function": {"name": "f0"}})
    return draw.chat_shot(tools=tools, tool_choice=choice, max_tokens=40, copies=draw.about(4))


def _tool_schema(draw: Draw) -> Shots:
    """Send a costly rule as a tool's parameters."""
    schema = draw.one_of(
        {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 999_983}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a|b)*a(a|b){200}"}}},
        {"type": "object", "properties": {"a": {"enum": [f"{at}" for at in range(20_000)]}}},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 50_000}}},
    )
    return draw.chat_shot(tools=[_tool("f", schema)], tool_choice="required", max_tokens=40)


def _tool_calls(draw: Draw) -> Shots:
    function = {"name": "f", "arguments": json.dumps({"a": draw.text(draw.about(50))})}
    call = {"id": "c", "type": "function", "function": function}
    calls = {"role": "assistant", "content": None, "tool_calls": [call] * draw.about(5_000)}
    return draw.chat_shot(messages=[_USER, calls, _USER])


def _kwargs(draw: Draw) -> Shots:
    values: dict[str, object] = {f"k{at}": draw.text(50) for at in range(draw.about(20_000))}
    values |= {"messages_": [dict(values)], "loop": "x", "range": 10**9, "tools": []}
    return draw.chat_shot(chat_template_kwargs=values)


def _padded(draw: Draw) -> Shots:
    """Send large bodies of which little is used, but everything is stored."""
    padding = {"m": "x" * min(draw.about(LARGEST_BODY), LARGEST_BODY)}
    body = draw.completion(max_tokens=1, metadata=padding)
    return Shot.of(body, copies=24, width=4)


def _many_fields(draw: Draw) -> Shots:
    """Send unknown field names, for each of which the nearest known one is searched."""
    count = draw.about(100_000)
    fields: dict[str, object] = {f"max_token{at}": 1 for at in range(count)}
    return Shot.of(draw.completion() | fields)


def _long_name(draw: Draw) -> Shots:
    return Shot.of(draw.completion() | {draw.text(draw.about(1_000_000)): 1})


def _numbers(draw: Draw) -> Shots:
    """Send numbers that take long to parse."""
    digits = "9" * draw.about(1_000_000)
    text = json.dumps(draw.completion())[:-1]
    number = str(draw.one_of(digits, f"0.{digits}", f"1e{digits[:300]}", f"-{digits}.{digits}"))
    field = draw.one_of("seed", "temperature", "timeout", "max_tokens", "metadata")
    return Shot(body=f'{text}, "{field}": {number}}}'.encode())


def _repeated_keys(draw: Draw) -> Shots:
    text = json.dumps(draw.completion())[:-1]
    return Shot(body=(text + ', "seed": 1' * draw.about(300_000) + "}").encode())


def _escapes(draw: Draw) -> Shots:
    """Send a text in which each character is an escape."""
    text = "\\ud83d\\ude00" * min(draw.about(300_000), 330_000)
    return Shot(body=f'{{"model": "{draw.facts.model}", "prompt": "{text}"}}'.encode())


def _surrogates(draw: Draw) -> Shots:
    """Send half surrogate pairs, which are not valid text."""
    text = "\\ud800" * draw.about(500_000)
    return Shot(body=f'{{"model": "{draw.facts.model}", "prompt": "{text}"}}'.encode())


def _values(draw: Draw) -> Shots:
    """Send millions of small values in a field that is not used."""
    unit = str(
        draw.one_of("{}", "[]", '{"a":1}', "1.5", '"a"', "1e5", nested(100), "true", '"\\n"')
    )
    count = min(draw.about(LARGEST_BODY), LARGEST_BODY) // (len(unit) + 1)
    text = f"[{','.join([unit] * max(1, count))}]"
    return Shot(body=with_json(draw.completion(max_tokens=1), "metadata", text))


def _names(draw: Draw) -> Shots:
    names = ",".join(f'"{at}":1' for at in range(draw.about(300_000)))
    return Shot(body=with_json(draw.completion(max_tokens=1), "metadata", f"{{{names}}}"))


KINDS = (
    Kind("l-empty-messages", "100,000 empty messages", _empty),
    Kind("m8-nested-body", "a body nested 100,000 deep", _nested_body),
    Kind("m8-nested-schema", "a schema nested 480 deep", _nested_schema),
    Kind("m8-nested-arguments", "arguments of a call, nested 960 deep", _nested_arguments),
    _nested("metadata"),
    _nested("chat_template_kwargs"),
    with_needs(
        Kind("m2-padded", "24 bodies of 4 MB, stored in a journal of 32", _padded),
        settings=(("JOURNAL_BYTES", str(32 << 20)),),
    ),
    Kind("messages", "messages by the ten thousand", _messages),
    Kind("message-parts", "one message of many parts", _parts),
    Kind("message-long", "one long, awkward message", _long_message),
    Kind("tools", "128 tools of many parameters", _tools),
    Kind("tool-schema", "a tool whose schema is costly", _tool_schema),
    Kind("tool-calls", "thousands of earlier calls", _tool_calls),
    Kind("template-kwargs", "arguments for the template", _kwargs),
    Kind("values-many", "small values by the million", _values),
    Kind("names-many", "names by the hundred thousand", _names),
    Kind("fields-unknown", "100,000 unknown fields", _many_fields),
    Kind("field-long", "one field with a long name", _long_name),
    Kind("numbers", "numbers of a million digits", _numbers),
    Kind("keys-repeated", "one key, 300,000 times", _repeated_keys),
    Kind("escapes", "a text of escapes", _escapes),
    Kind("surrogates", "halves of surrogate pairs", _surrogates),
)
