"""References of a schema that becomes part of another: resolved in place."""

import json
from typing import Any

import pytest

from rowcast.text.rules.grammar import GrammarFault, of_json_schema
from rowcast.text.rules.schema_refs import check_references, inside

from ..tokens.grammar_walk import follows

AT = "/anyOf/0/properties/arguments"
TEXT = {"type": "string"}
LEAF = {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}
CLOSED = {"additionalProperties": False}


def nested(schema: dict[str, Any]) -> str:
    """Return the grammar of an object whose `arguments` follow this schema."""
    outer = {
        "type": "object",
        "properties": {"arguments": inside(schema, AT)},
        "required": ["arguments"],
        **CLOSED,
    }
    return of_json_schema({"anyOf": [outer]})


def of_u(ref: str, **more: Any) -> dict[str, Any]:
    """Return an object whose `u` is what the reference points to."""
    return {"type": "object", "properties": {"u": {"$ref": ref}}, "required": ["u"]} | CLOSED | more


FORMS = {
    "defs": of_u("#/$defs/U", **{"$defs": {"U": TEXT}}),
    "definitions": of_u("#/definitions/U", definitions={"U": TEXT}),
    "property": {
        "type": "object",
        "properties": {"t": TEXT, "u": {"$ref": "#/properties/t"}},
        "required": ["u"],
    },
    "escapes": of_u("#/$defs/a~1b~0c%20d%25", **{"$defs": {"a/b~c d%": TEXT}}),
    "not ASCII": of_u("#/$defs/gr%C3%B6%C3%9Fe", **{"$defs": {"größe": TEXT}}),
    "through another": of_u("#/$defs/U", **{"$defs": {"U": {"$ref": "#/$defs/V"}, "V": TEXT}}),
    "unknown place": of_u("#/parts/U", parts={"U": {"$ref": "#/parts/V"}, "V": TEXT}),
    "anchor": of_u("#u", **{"$defs": {"U": {"$anchor": "u", **TEXT}}}),
    "own address": of_u(
        "https://a.example/s#/$defs/U", **{"$id": "https://a.example/s", "$defs": {"U": TEXT}}
    ),
    "address inside": of_u(
        "u", **{"$id": "https://a.example/s", "$defs": {"U": {"$id": "u", **TEXT}}}
    ),
    "within an address": of_u(
        "#/$defs/U",
        **{"$defs": {"U": {"$id": "urn:u", "$ref": "#/$defs/V", "$defs": {"V": TEXT}}}},
    ),
    "relative address": of_u("#/$defs/U", **{"$id": "s", "$defs": {"U": TEXT}}),
    "draft 7": of_u(
        "#/definitions/U",
        **{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"U": TEXT}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_reference_means_what_it_meant(form: str) -> None:
    rule = nested(FORMS[form])
    assert follows(rule, '{"arguments": {"u": "x"}}')
    assert not follows(rule, '{"arguments": {"u": 1}}')
    check_references(FORMS[form])


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"N": of_u("#/$defs/N", required=[])}, "$ref": "#/$defs/N"},
        of_u("#", required=[]),
    ],
)
def test_a_recursive_schema_stays_recursive(schema: dict[str, Any]) -> None:
    rule = nested(schema)
    for text in ("{}", '{"u": {}}', '{"u": {"u": {"u": {}}}}'):
        assert follows(rule, f'{{"arguments": {text}}}')
    assert not follows(rule, '{"arguments": {"u": {"u": 1}}}')


def test_a_schema_without_references_is_left_alone() -> None:
    schema = {"$id": "https://a.example/s", "type": "object", "properties": {"$ref": LEAF}}
    assert inside(schema, AT) is schema


def test_data_that_looks_like_a_reference_is_data() -> None:
    data = {"$ref": "#/$defs/U"}
    schema = of_u("#/$defs/U", **{"$defs": {"U": {"const": data}}})
    assert follows(nested(schema), f'{{"arguments": {{"u": {json.dumps(data)}}}}}')


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("https://example.com/x.json", "only parts of the schema itself"),
        ("other.json#/a", "only parts of the schema itself"),
        ("#nobody", "only parts of the schema itself"),
        ("#/$defs/V", "which is not in the schema"),
        ("#/required/7", "which is not in the schema"),
        ("#/required/0", "which is not a schema"),
        ("#/type", "which is not a schema"),
    ],
)
def test_a_reference_to_nothing_says_where_it_stands(ref: str, says: str) -> None:
    with pytest.raises(GrammarFault, match=r"\$ref at /properties/u is ") as fault:
        inside(of_u(ref), AT)
    assert says in str(fault.value)


def test_work_grows_with_the_schema_and_not_with_its_paths() -> None:
    doubled = {f"D{n}": of_u(f"#/$defs/D{n + 1}", properties={
        "u": {"$ref": f"#/$defs/D{n + 1}"}, "v": {"$ref": f"#/$defs/D{n + 1}"}})
        for n in range(60)}  # fmt: skip
    schema = {"$defs": {**doubled, "D60": TEXT}, "$ref": "#/$defs/D0"}  # 2**60 paths to D60
    assert len(json.dumps(inside(schema, AT))) < 2 * len(json.dumps(schema)) + 200 * len(AT)
