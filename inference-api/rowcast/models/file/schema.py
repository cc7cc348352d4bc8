"""The JSON schema of a file of models, and the table of its keys, both made from `KEYS`.

python -m rowcast.models.file.schema            prints config/model_config.schema.json
python -m rowcast.models.file.schema --table    prints the table of docs/many-models.md
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rowcast.models.file.entry import MOST, SCHEMA
from rowcast.models.file.keys import KEYS, NAMES, PLACES, Key


def schema() -> dict[str, Any]:
    """Return the schema, of draft 2020-12."""
    entry = {
        "type": "object",
        "properties": {key.name: _property(key) for key in KEYS},
        "required": ["model"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The models of a Rowcast server",
        "type": "object",
        "properties": {SCHEMA: {"type": "string"}},
        "propertyNames": {"anyOf": [{"const": SCHEMA}, NAMES.schema()]},
        "additionalProperties": {"anyOf": [PLACES.schema(), entry]},
        "minProperties": 1,
        "maxProperties": MOST + 1,
    }


def table() -> str:
    """Return the keys as a Markdown table."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    rows += [f"| `{key.name}` | {key.default} | {key.meaning} |" for key in KEYS]
    return "\n".join(rows) + "\n"


def _property(key: Key) -> dict[str, Any]:
    return {"description": key.meaning, **key.kind.schema()}


def main(arguments: Sequence[str]) -> None:
    """Print the schema, or the table."""
    text = table() if list(arguments) == ["--table"] else json.dumps(schema(), indent=2) + "\n"
    sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
