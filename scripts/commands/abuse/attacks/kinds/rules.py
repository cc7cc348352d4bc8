"""Rules for replies: JSON schemas, Lark grammars, regular expressions, choices."""

from __future__ import annotations

from commands.abuse.attacks.draw import SCHEMAS, Draw, nested, with_json
from commands.abuse.attacks.kind import Kind, Shots
from commands.abuse.attacks.shot import Shot

_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")


def _ref_chain(draw: Draw) -> Shots:
    links = draw.about(1500)
    form = draw.one_of("items", "plain", "properties", "anyOf", "allOf")
    defs = {f"d{at}": _link(str(form), f"#/$defs/d{at + 1}") for at in range(links)}
    defs[f"d{links}"] = {"type": "string"}
    return draw.completion_shot(guided_json={"$ref": "#/$defs/d0", "$defs": defs})


def _link(form: str, reference: str) -> dict[str, object]:
    """Return a schema that is, or contains, its reference's target."""
    target = {"$ref": reference}
    forms: dict[str, dict[str, object]] = {
        "items": {"type": "array", "items": target},
        "plain": {"$ref": reference},
        "properties": {"type": "object", "properties": {"a": target}},
    }
    return forms.get(form, {form: [target]})


def _lark_chain(draw: Draw) -> Shots:
    links = draw.about(2800)
    rules = [f"r{at}: r{at + 1}" for at in range(links)]
    return draw.completion_shot(guided_grammar="\n".join(["start: r0", *rules, f'r{links}: "a"']))


def _optional(draw: Draw) -> Shots:
    count = draw.about(40_000)
    grammar = f'start: {"r? " * count}\nr: "a"'
    return draw.completion_shot(guided_grammar=grammar, max_tokens=64)


def _optional_choices(draw: Draw) -> Shots:
    grammar = f'start: {"r? " * draw.about(2_000)}\nr: "a"'
    return draw.completion_shot(guided_grammar=grammar, max_tokens=64, n=16)


def _multiple_of(draw: Draw) -> Shots:
    number = draw.one_of(1_999_993, 99_991, 1e-7, 0.0001, 1_000_003, 2**31 - 1, 3.3333)
    return draw.completion_shot(guided_json={"type": "integer", "multipleOf": number})


def _alternatives(draw: Draw) -> Shots:
    count = draw.about(50_000)
    return draw.completion_shot(
        guided_grammar="start: " + " | ".join(f'"a{at}"' for at in range(count))
    )


def _regex(draw: Draw) -> Shots:
    size = draw.about(1_000)
    pattern = draw.one_of(
        f"(a|b)*a(a|b){{{min(size, 400)}}}",
        f"(a{{0,{size}}}){{0,{size}}}",
        "(" * size + "a" + ")" * size,
        "(a?){" + str(size) + "}a{" + str(size) + "}",
        "|".join(f"w{at}" for at in range(size)),
        r"[\p{L}\p{N}]{" + str(size) + "}",
        r"(.*a){" + str(min(size, 300)) + "}",
        "(?i)" + "straße" * size,
        r"(\d+)+" * min(size, 500) + "$",
    )
    return draw.completion_shot(guided_regex=pattern, max_tokens=64)


def _choice(draw: Draw) -> Shots:
    count = min(draw.about(1024), 1024)
    each = draw.about(3_000)
    words = [f"{at} {draw.text(each)}" for at in range(count)]
    limit = 3_000_000
    chosen = words[: max(1, limit // (4 * each + 8))]
    return draw.completion_shot(guided_choice=chosen, max_tokens=64)


def _nested(depth: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def _nested_schema(draw: Draw) -> Shots:
    return draw.completion_shot(guided_json=_nested(draw.about(150)), max_tokens=200)


def _wide_schema(draw: Draw) -> Shots:
    count = draw.about(5_000)
    names = {f"n{at}": {"type": draw.dice.choice(_TYPES)} for at in range(count)}
    required = [*names] if draw.dice.random() < 0.5 else []
    schema = {"type": "object", "properties": names, "required": required}
    return draw.completion_shot(guided_json=schema, max_tokens=100)


def _enum(draw: Draw) -> Shots:
    values = [draw.text(draw.about(20)) for _ in range(draw.about(20_000))]
    return draw.completion_shot(guided_json={"enum": values}, max_tokens=40)


def _bounds(draw: Draw) -> Shots:
    size = draw.about(100_000)
    schema = draw.one_of(
        {"type": "array", "items": {"type": "integer"}, "minItems": size},
        {"type": "string", "minLength": size, "maxLength": 2 * size},
        {"type": "string", "pattern": f"^(a|b){{{size}}}$"},
        {"type": "integer", "minimum": -(10**size % 10**300), "maximum": 10**300},
        {"type": "number", "minimum": 1e-300, "maximum": 1e-299},
        {"type": "object", "minProperties": size, "additionalProperties": {"type": "null"}},
        {"type": "array", "prefixItems": [{"type": "null"}] * size, "items": False},
        {"type": "string", "format": "uri", "minLength": size % 1000},
    )
    return draw.completion_shot(guided_json=schema, max_tokens=200)


def _all_of(draw: Draw) -> Shots:
    count = draw.about(300)
    word = draw.one_of("allOf", "anyOf", "oneOf")
    parts = [
        {"type": "object", "properties": {f"p{at}": {"type": "string", "maxLength": at}}}
        for at in range(count)
    ]
    return draw.completion_shot(guided_json={str(word): parts}, max_tokens=100)


def _doubling(draw: Draw) -> Shots:
    """Use references that double at each link: small as written, large when expanded."""
    links = min(draw.about(40), 60)
    defs: dict[str, object] = {
        f"d{at}": {
            "type": "array",
            "prefixItems": [{"$ref": f"#/$defs/d{at + 1}"}, {"$ref": f"#/$defs/d{at + 1}"}],
        }
        for at in range(links)
    }
    defs[f"d{links}"] = {"type": "null"}
    return draw.completion_shot(guided_json={"$ref": "#/$defs/d0", "$defs": defs}, max_tokens=100)


def _doubling_of(draw: Draw) -> Shots:
    """Use doubling references in allOf, whose parts must be merged."""
    links = min(draw.about(24), 40)
    defs: dict[str, object] = {
        f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}, {"$ref": f"#/$defs/d{at + 1}"}]}
        for at in range(links)
    }
    defs[f"d{links}"] = {"type": "object", "properties": {"a": {"type": "null"}}}
    return draw.completion_shot(guided_json={"$ref": "#/$defs/d0", "$defs": defs}, max_tokens=100)


def _patterns(draw: Draw) -> Shots:
    count = draw.about(100)
    names: dict[str, object] = {
        f"^{chr(97 + at % 26)}{at}.*[0-9]{{{at % 60}}}$": {} for at in range(count)
    }
    schema = {"type": "object", "patternProperties": names, "additionalProperties": False}
    return draw.completion_shot(guided_json=schema, max_tokens=60)


def _lark_ambiguous(draw: Draw) -> Shots:
    grammar = draw.one_of(
        'start: s\ns: s s | "a" | ""',
        'start: s+\ns: a | b | s s\na: "x"*\nb: "x"+',
        'start: e\ne: e "+" e | e e | "(" e ")" | /[a-z ]+/',
        "start: /(.|\\n)*/ /(.|\\n)*/ /(.|\\n)*/ /(.|\\n)*/",
    )
    copies = draw.about(8)
    return draw.completion_shot(guided_grammar=grammar, max_tokens=draw.room, n=min(16, copies))


def _lark_terminals(draw: Draw) -> Shots:
    count = draw.about(2_000)
    rules = [f"T{at}: /[a-z]{{{at % 50},{at % 50 + 50}}}{at}/" for at in range(count)]
    start = "start: (" + " | ".join(f"T{at}" for at in range(count)) + ")+"
    return draw.completion_shot(guided_grammar="\n".join([start, *rules]), max_tokens=64)


def _lark_range(draw: Draw) -> Shots:
    size = draw.about(100_000)
    return draw.completion_shot(
        guided_grammar=f'start: ("a" | "b"){{{size // 2},{size}}}', max_tokens=64
    )


def _many_rules(draw: Draw) -> Shots:
    """Send different small rules in sequence: each must be compiled, none is used again."""
    shots = []
    for at in range(min(draw.about(200), 400)):
        schema = {"type": "object", "properties": {f"p{at}": {"type": "string", "maxLength": 500}}}
        shots.append(draw.completion_shot(guided_json=schema, max_tokens=8))
    return shots


def _string_schema(draw: Draw) -> Shots:
    """Send a schema as a string, nested as deep as possible."""
    return draw.completion_shot(guided_json=nested(draw.about(960), SCHEMAS))


def _lists_in_schema(draw: Draw) -> Shots:
    schema = f'{{"const": {nested(draw.about(400))}}}'
    return Shot(body=with_json(draw.completion(), "guided_json", schema))


KINDS = (
    Kind("c1-ref-chain", "a schema with a chain of references", _ref_chain),
    Kind("c1-lark-chain", "a Lark grammar with a chain of rules", _lark_chain),
    Kind("c3-optional", "a Lark grammar of optional parts", _optional),
    Kind("c3-optional-choices", "a smaller one, with 16 choices", _optional_choices),
    Kind("h4-multiple-of", "a schema with multipleOf", _multiple_of),
    Kind("h8-alternatives", "a Lark grammar of many alternatives", _alternatives),
    Kind("m8-string-schema", "a schema in a string, deeply nested", _string_schema),
    Kind("schema-const", "a schema whose constant is deeply nested", _lists_in_schema),
    Kind("schema-nested", "objects in objects", _nested_schema),
    Kind("schema-wide", "an object of many properties", _wide_schema),
    Kind("schema-enum", "an enumeration of awkward texts", _enum),
    Kind("schema-bounds", "large bounds of lengths and numbers", _bounds),
    Kind("schema-of", "allOf, anyOf, oneOf of many parts", _all_of),
    Kind("schema-doubling", "references that double at each link", _doubling),
    Kind("schema-merging", "allOf that doubles at each link", _doubling_of),
    Kind("schema-patterns", "patternProperties that overlap", _patterns),
    Kind("regex", "regular expressions that are large as automata", _regex),
    Kind("choice", "a thousand long choices", _choice),
    Kind("lark-ambiguous", "a grammar with many derivations of one text", _lark_ambiguous),
    Kind("lark-terminals", "many terminals that overlap", _lark_terminals),
    Kind("lark-range", "a large range of repetitions", _lark_range),
    Kind("rules-many", "hundreds of rules, each new", _many_rules),
)
