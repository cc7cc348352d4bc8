"""A sampling parameter is one line: a toy that is added to the table is seen in every place.

Covers `parameter`, `sampling_params`.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from processes import ROOT

LINE = (
    "toy: Annotated[float, Parameter('a toy without effect', Meta(ge=0, le=9), "
    "Native(0.5, 0, 8, '[0-8]'), OpenAI('toy_share'), configured=(0, 9))] = 0.25"
)


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """Return what a server shows whose table has the line."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("inference-api", "tests"))
    done = subprocess.run(
        (sys.executable, str(ROOT / "tests" / "frontend" / "toy_line.py"), LINE),
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        timeout=100,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_crosses_the_wire(seen: dict[str, Any]) -> None:
    assert seen["wire"] == [0.25, 7.5]


def test_a_native_body_has_it_with_default_and_bounds(seen: dict[str, Any]) -> None:
    omitted, sent, beyond = seen["native"]
    assert (omitted["toys"], sent["toys"]) == ([0.5], [4.0])
    assert beyond["status"] == 400
    assert beyond["body"]["message"] == "toy is 9; send a number from 0 to 8"


def test_an_openai_body_has_it_by_its_name_there(seen: dict[str, Any]) -> None:
    omitted, sent, beyond, misnamed = seen["openai"]
    assert (omitted["toys"], sent["toys"]) == ([0.25], [3.0])
    assert (beyond["status"], beyond["body"]["error"]["param"]) == (400, "toy_share")
    assert (misnamed["status"], misnamed["body"]["error"]["param"]) == (400, "toy")


def test_a_receipt_has_it_and_is_computed_again(seen: dict[str, Any]) -> None:
    assert seen["receipt"]["parameters"]["toy"] == 3.0
    assert seen["replay"]["status"] == 200
    assert seen["replay"]["toys"] == [3.0]
    assert seen["replay"]["body"]["receipt"] == seen["receipt"]


def test_a_model_may_configure_it(seen: dict[str, Any]) -> None:
    assert seen["configured"] == 2.0


def test_the_api_document_has_it(seen: dict[str, Any]) -> None:
    schemas = seen["document"]["components"]["schemas"]
    number = {"type": "number", "minimum": 0, "maximum": 9}
    for body in ("CompletionBody", "ChatBody"):
        toy = schemas[body]["properties"]["toy_share"]
        assert toy == {"anyOf": [number, {"type": "null"}], "default": None}
    assert schemas["Parameters"]["properties"]["toy"] == number | {"default": 0.25}
    described = seen["document"]["paths"]["/chat/{model}"]["post"]["requestBody"]["content"]
    native = described["application/json"]["schema"]["properties"]["toy"]
    assert native["default"] == 0.5
    assert native["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 8}


def test_the_tables_of_the_documents_have_it(seen: dict[str, Any]) -> None:
    tables = seen["tables"]
    assert "\n| `toy` | number | 0.5 | 0 to 8 | a toy without effect |\n" in tables["api.md"]
    assert "\n| `toy_share` | number | 0.25 | 0 to 9 | a toy" in tables["openai.md"]
    assert "\n| `toy` | number | 0.25 | 0 to 9 | a toy" in tables["receipts.md"]


def test_the_backend_checks_it(seen: dict[str, Any]) -> None:
    assert seen["backend"] == ["", "toy is -1e+301; it must be from -1e+300 to 1e+300"]
