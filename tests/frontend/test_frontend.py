"""The frontend and its served models: each found by its names, in every dialect."""

from dataclasses import replace

import pytest

from rowcast.errors import UnknownModel
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.models import fixed
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.served_model import ServedModel

from .serving import SECRET, Served, spoken


@pytest.fixture
def two(served: Served) -> Frontend:
    """A frontend of two models, which share a backend."""
    first, frontend = served.frontend.default, served.frontend
    second = replace(first, names=("other", "a/other"), listed=("other",), aliases=())
    return Frontend(frontend.settings, frontend.clients, fixed(frontend.settings, first, second))


def model(frontend: Frontend, name: str | None) -> ServedModel:
    return frontend.model(name, Request(path="/", body=Body(bytes)))


def test_a_model_is_found_by_each_of_its_names(two: Frontend) -> None:
    first, second = (each.served for each in two.models.current)
    assert model(two, "scripted") is model(two, "falcon40b") is model(two, None) is first
    assert model(two, "other") is model(two, "a/other") is second
    assert two.listed == ("scripted", "falcon40b", "other")
    assert set(two.in_paths) == {"scripted", "falcon40b", "other"}


def test_an_unknown_model_is_told_what_is_served(two: Frontend) -> None:
    with pytest.raises(UnknownModel, match=r"available: scripted, falcon40b, other$"):
        model(two, "third")


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
