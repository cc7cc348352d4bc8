"""Random JSON schemas, and a simple validator of values."""

import random
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_KINDS = ("object", "array", "string", "integer", "number", "boolean", "null", "enum", "anyOf")


def random_schema(chance: random.Random, depth: int = 3) -> dict[str, Any]:
    """Return a schema whose texts are not very long."""
    kind = chance.choice(_KINDS if depth else _KINDS[2:8])
    match kind:
        case "object":
            return _object(chance, depth)
        case "array":
            least = chance.randrange(3)
            items = random_schema(chance, depth - 1)
            most = least + chance.randrange(3)
            return {"type": "array", "items": items, "minItems": least, "maxItems": most}
        case "string":
            least = chance.randrange(4)
            return {"type": "string", "minLength": least, "maxLength": least + chance.randrange(9)}
        case "integer" | "number":
            least = chance.randrange(-1000, 1000)
            return {"type": kind, "minimum": least, "maximum": least + chance.randrange(500)}
        case "enum":
            return {"enum": chance.sample([1, -2.5, "one", 'zwei "2"', None, True, "", [3]], 3)}
        case "anyOf":
            return {"anyOf": [random_schema(chance, depth - 1) for _ in range(2)]}
    return {"type": kind}


def _object(chance: random.Random, depth: int) -> dict[str, Any]:
    names = chance.sample(["a", "name", "größe", "x y", 'q"', "id"], chance.randrange(4))
    return {
        "type": "object",
        "properties": {name: random_schema(chance, depth - 1) for name in names},
        "required": [name for name in names if chance.random() < 0.7],
        "additionalProperties": False,
    }


def follows(value: object, schema: Schema) -> bool:
    """True if the value follows the schema."""
    if "anyOf" in schema:
        return any(follows(value, each) for each in schema["anyOf"])
    if "enum" in schema:
        return any(value == each and type(value) is type(each) for each in schema["enum"])
    match schema["type"], value:
        case "object", dict():
            return _object_follows(value, schema)
        case "array", list():
            fits = schema["minItems"] <= len(value) <= schema["maxItems"]
            return fits and all(follows(each, schema["items"]) for each in value)
        case "string", str():
            return bool(schema["minLength"] <= len(value) <= schema["maxLength"])
        case "boolean", bool():
            return True
        case "null", None:
            return True
        case (("integer" | "number"), bool()):
            return False
        case "integer", int() | float():
            return value == int(value) and schema["minimum"] <= value <= schema["maximum"]
        case "number", int() | float():
            return bool(schema["minimum"] <= value <= schema["maximum"])
    return False


def _object_follows(value: dict[str, object], schema: Schema) -> bool:
    properties = schema["properties"]
    return (
        set(schema["required"]) <= set(value)
        and set(value) <= set(properties)
        and all(follows(each, properties[name]) for name, each in value.items())
    )
