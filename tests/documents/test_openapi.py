"""The API documents: complete, well-formed, accurate, and self-contained.

Covers `rowcast`, `api/documents`, `documents/health`, `documents/native`, `pages`,
`documents/replies`, `spec`, `documents/streams`, `generate/openapi`, `openai/openapi`.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from frontend.serving import Served, serving
from rowcast import __version__
from rowcast.frontend.models.supervision import FixedSupervision
from rowcast.models.messages import Done, FromFrontend, Load, Unload

ADMIN = {"X-Rowcast-Admin": "true"}


class Obedient(FixedSupervision):
    """A supervisor that takes every order, and does nothing."""

    def send(self, message: FromFrontend) -> None:
        assert isinstance(message, Load | Unload)
        self._listener.receive(Done(message.number))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    journal = tmp_path_factory.mktemp("openapi") / "journal.db"
    with serving(supervision=Obedient(), journal=journal) as made:
        yield made


@pytest.fixture(scope="module")
def spec(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.client.get("/openapi.json").get_json()
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_route_is_described_and_nothing_else(served: Served, spec: dict[str, Any]) -> None:
    routes = {
        (
            re.sub(
                r"<(\w+)>",
                r"{\1}",
                re.sub(r"<(?:path:)?(?:model|name)>", "{model}", str(rule.rule)),
            ),
            method.lower(),
        )
        for rule in served.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, methods in spec["paths"].items() for method in methods}
    assert described == routes


def test_every_reference_leads_somewhere(spec: dict[str, Any]) -> None:
    names = spec["components"]["schemas"]
    found = set(references(spec))
    assert len(found) > 20
    assert {name for name in found if name.split("/")[-1] not in names} == set()


def test_operations_have_names_of_their_own(spec: dict[str, Any]) -> None:
    ids = [each["operationId"] for methods in spec["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids))


def test_this_servers_facts_are_told(served: Served, spec: dict[str, Any]) -> None:
    assert spec["info"]["version"] == __version__
    bodies = spec["components"]["schemas"]
    assert bodies["CompletionBody"]["properties"]["model"]["enum"] == ["scripted", "falcon40b"]
    stops = bodies["CompletionBody"]["properties"]["stop_token_ids"]["anyOf"][0]
    assert stops["items"]["maximum"] == served.frontend.default.tokenizer.vocabulary - 1
    assert "ImagePart" not in str(bodies["UserMessage"])


STORED = ("{stream}", "{response}", "{task}", "{file}", "{batch}")
WITH_FILE = ("/v1/files", "/v1/batches")  # their bodies are, or name, a file


def test_examples_are_answered(served: Served, spec: dict[str, Any]) -> None:
    for path, methods in spec["paths"].items():
        if any(part in path for part in STORED):
            continue  # there is none of these names
        for method, described in methods.items():
            if method == "post" and path in WITH_FILE:
                continue
            body = described.get("requestBody", {"content": {}})["content"]
            example = body.get("application/json", {}).get("example")
            response = served.client.open(
                path.replace("{model}", "scripted").replace("{asset}", "main.js"),
                method=method,
                json=example,
                headers=ADMIN,
                buffered=True,
            )
            assert response.status_code == 200, (path, response.text)
            content = described["responses"]["200"]["content"]
            assert response.mimetype in content


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_load_nothing_from_elsewhere(served: Served, path: str) -> None:
    response = served.client.get(path)
    assert response.mimetype == "text/html"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert re.findall(r"https?://|//[a-z]+\.", response.text.split("<script>")[0]) == []
    assert "openapi.json" in response.text
