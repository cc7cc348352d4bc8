"""The frontend and its served models: each found by its names, in every dialect."""

from dataclasses import replace

import pytest

from rowcast.errors import UnknownModel
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend, by_name

from .serving import SECRET, Served, spoken


@pytest.fixture
def two(served: Served) -> Frontend:
    """A frontend of two models, which share a backend."""
    first, frontend = served.frontend.default, served.frontend
    second = replace(first, names=("other", "a/other"), listed=("other",), aliases=())
    return Frontend(frontend.settings, frontend.clients, by_name(first, second))


def test_a_model_is_found_by_each_of_its_names(two: Frontend) -> None:
    first, second = two.models
    assert two.model("scripted") is two.model("falcon40b") is two.model(None) is first
    assert two.model("other") is two.model("a/other") is second
    assert two.listed == ("scripted", "falcon40b", "other")
    assert set(two.in_paths) == {"scripted", "falcon40b", "other"}


def test_an_unknown_model_is_told_what_is_served(two: Frontend) -> None:
    with pytest.raises(UnknownModel, match=r"available: scripted, falcon40b, other$"):
        two.model("third")


def test_every_dialect_serves_both(two: Frontend) -> None:
    client = create_app(two).test_client()
    client.environ_base["HTTP_X_ROWCAST_PROXY_SECRET"] = SECRET
    asked = {"max_tokens": 5, "seed": 3}
    for name in ("scripted", "other"):
        native = client.post(f"/inference/{name}", json=asked | {"text": "Hi"}, buffered=True)
        assert native.text == spoken("Hi", 3, 5)
        body = asked | {"model": name, "prompt": "Hi"}
        answer = client.post("/v1/completions", json=body, buffered=True).get_json()
        assert (answer["model"], answer["choices"][0]["text"]) == (name, spoken("Hi", 3, 5))
    listed = client.get("/v1/models").get_json()["data"]
    assert [(each["id"], each["root"]) for each in listed] == [
        ("scripted", "scripted"),
        ("other", "other"),
    ]
    assert client.get("/v1/models/a/other").get_json()["root"] == "other"
