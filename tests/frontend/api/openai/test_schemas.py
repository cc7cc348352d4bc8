"""Schemas as pydantic generates them for instructor, pydantic-ai and agents.

Every reply is a valid value of its schema, as a tool call or as an answer, strict or not.

Covers `unenforced`.
"""

import datetime
import json
import re
from enum import Enum
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from ...serving import Served
from .asking import CHAT, COMPLETIONS, chat, complete, events, refusal

HEADER = "X-Rowcast-Unenforced"
FEW = Field(max_length=2)


class Closed(BaseModel):
    """A model whose schema is closed, so that replies stay short."""

    model_config = ConfigDict(extra="forbid")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(Closed):
    street: Annotated[str, Field(max_length=9)]
    number: int


class Person(Closed):
    """Nested models, optional fields, literals, enums."""

    name: Annotated[str, Field(min_length=1, max_length=9)]
    nick: Optional[Annotated[str, Field(max_length=9)]] = None  # noqa: UP045  # a common spelling
    home: Address
    others: Annotated[list[Address], FEW]
    mood: Literal["good", "bad", 3]
    colour: Colour


class Node(Closed):
    """A tree."""

    value: Annotated[int, Field(ge=0, le=9)]
    kids: Annotated[list["Node"], FEW] = []
    next: Optional["Node"] = None


class Cat(Closed):
    kind: Literal["cat"]
    lives: int


class Dog(Closed):
    kind: Literal["dog"]
    friend: "Pet | None"


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
Dog.model_rebuild()


class Owner(Closed):
    """A recursive tagged union."""

    pet: Pet


class Plain(Closed):
    """A union without a tag."""

    pet: Cat | Dog | None


class Counts(Closed):
    """Maps."""

    counts: Annotated[dict[str, int], FEW]
    deep: Annotated[dict[str, Annotated[list[Cat], FEW]], FEW]


class Formats(Closed):
    """Formats, ranges and patterns."""

    when: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    id: UUID
    share: Annotated[float, Field(ge=0, le=1)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}\d{3}$")]
    secret: Annotated[str, Field(max_length=9, json_schema_extra={"format": "password"})]


class Pair(Closed):
    """A tuple."""

    pair: tuple[Annotated[int, Field(le=99)], Literal["x"]]


class Nothing(BaseModel):
    """A tool without arguments."""


class Tags(Closed):
    """Two schemas that no grammar can express: a set, and the look-ahead of a decimal."""

    tags: Annotated[set[int], FEW]
    price: Annotated[str, Field(json_schema_extra={"pattern": r"^(?!^[-+.]*$)[+-]?\d*\.?\d*$"})]


KEPT: list[type[BaseModel]] = [Person, Node, Owner, Plain, Counts, Formats, Pair, Nothing]


def tool(model: type[BaseModel], *, strict: bool | None = None) -> dict[str, Any]:
    function = {"name": model.__name__, "parameters": model.model_json_schema(), "strict": strict}
    return {"type": "function", "function": function}


def finished(served: Served, seeds: int, **asked: Any) -> list[dict[str, Any]]:
    """Return the messages of complete replies; at least half of the replies must be complete."""
    choices = [
        choice
        for seed in range(seeds)
        for choice in chat(served, seed=seed, max_tokens=1500, **asked)["choices"]
    ]
    found = [each["message"] for each in choices if each["finish_reason"] != "length"]
    assert len(found) >= seeds // 2
    return found


@pytest.mark.slow
@pytest.mark.parametrize("model", KEPT)
@pytest.mark.parametrize("strict", [None, True])
def test_a_forced_call_is_a_value_of_the_model(
    served: Served, model: type[BaseModel], strict: bool | None
) -> None:
    others = [tool(Address), tool(Node)]
    asked: dict[str, Any] = {
        "tools": [*others, tool(model, strict=strict)],
        "tool_choice": {"type": "function", "function": {"name": model.__name__}},
    }
    for message in finished(served, 6, **asked):
        (call,) = message["tool_calls"]
        assert call["function"]["name"] == model.__name__
        model.model_validate_json(call["function"]["arguments"])


@pytest.mark.slow
@pytest.mark.parametrize("model", KEPT)
def test_an_answer_is_a_value_of_the_model(served: Served, model: type[BaseModel]) -> None:
    named = {"name": model.__name__, "schema": model.model_json_schema(), "strict": True}
    asked = {"response_format": {"type": "json_schema", "json_schema": named}}
    for message in finished(served, 4, **asked):
        model.model_validate_json(message["content"])


@pytest.mark.slow
def test_any_of_many_tools_is_called_with_its_own_arguments(served: Served) -> None:
    models = {model.__name__: model for model in (Node, Plain, Counts, Pair, Nothing)}
    tools = [tool(model) for model in models.values()]
    asked: dict[str, Any] = {"tools": tools, "tool_choice": "required"}
    messages = finished(served, 12, parallel_tool_calls=False, **asked)
    names = set()
    for message in messages:
        (call,) = message["tool_calls"]
        names.add(call["function"]["name"])
        models[call["function"]["name"]].model_validate_json(call["function"]["arguments"])
    assert len(names) > 2


def test_a_call_without_parameters_has_no_arguments(served: Served) -> None:
    now = {"type": "function", "function": {"name": "now"}}
    asked = {"tools": [now], "tool_choice": "required", "parallel_tool_calls": False}
    for message in finished(served, 3, **asked):
        (call,) = message["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {}


@pytest.mark.slow
def test_formats_have_their_form(served: Served) -> None:
    asked = {"tools": [tool(Formats)], "tool_choice": "required", "parallel_tool_calls": False}
    for message in finished(served, 4, **asked):
        found = json.loads(message["tool_calls"][0]["function"]["arguments"])
        assert re.match(r"\d{4}-\d\d-\d\d[tT ]\d\d:\d\d:\d\d", found["when"])
        datetime.date.fromisoformat(re.sub("^0000", "2000", found["day"]))


UNENFORCED = ("pattern at /properties/price", "uniqueItems at /properties/tags")
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("", {"response_format": {"type": "json_schema",
                              "json_schema": {"name": "a", "schema": Tags.model_json_schema()}}}),
    ("", {"guided_json": Tags.model_json_schema()}),
    ("", {"structured_outputs": {"json": json.dumps(Tags.model_json_schema())}}),
    (" of Tags", {"tools": [tool(Tags)], "tool_choice": "required"}),
]  # fmt: skip


@pytest.mark.parametrize(("whose", "asked"), FORMS)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_enforced_is_said_in_a_header(
    served: Served, whose: str, asked: dict[str, Any], stream: bool
) -> None:
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}], **asked}
    response = served.post(CHAT, stream=stream, max_tokens=1500, seed=2, **body)
    assert response.status_code == 200, response.text
    said = set(response.headers[HEADER].split("; "))
    assert said == {f"{each}{whose}" for each in UNENFORCED}


def test_what_is_kept_holds(served: Served) -> None:
    for message in finished(served, 4, guided_json=Tags.model_json_schema()):
        found = json.loads(message["content"])
        assert set(found) == {"tags", "price"}
        assert len(found["tags"]) <= 2
        assert all(type(each) in {int, float} for each in found["tags"])


def test_completions_say_it_too(served: Served) -> None:
    asked = {"guided_json": Tags.model_json_schema(), "max_tokens": 1}
    response = served.post(COMPLETIONS, model="scripted", prompt="a", **asked)
    assert set(response.headers[HEADER].split("; ")) == set(UNENFORCED)
    assert complete(served, **asked)["choices"]
    plain = served.post(COMPLETIONS, model="scripted", prompt="a", max_tokens=1)
    assert HEADER not in plain.headers


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {
            "name": "a", "schema": Tags.model_json_schema(), "strict": True}}},
         "response_format.json_schema.schema"),
        ({"tools": [tool(Tags, strict=True)], "tool_choice": "required"}, "tools"),
    ],
)  # fmt: skip
def test_strictly_it_is_a_400_that_names_it(
    served: Served, asked: dict[str, Any], param: str
) -> None:
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}], **asked}
    error = refusal(served.post(CHAT, **body))
    assert error["param"] == param
    for each in UNENFORCED:
        assert each in error["message"]
    assert "strict" in error["message"]


def test_an_optional_call_follows_its_schema_as_a_required_one_does(served: Served) -> None:
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]}
    strict = served.post(CHAT, tools=[tool(Tags, strict=True)], max_tokens=3, **body)
    assert strict.status_code == 400
    assert "strict" in strict.get_json()["error"]["message"]
    loose = served.post(CHAT, tools=[tool(Tags)], max_tokens=3, **body)
    assert loose.status_code == 200
    assert "uniqueItems" in loose.headers[HEADER]


@pytest.mark.slow
def test_streamed_arguments_are_a_value_of_the_model(served: Served) -> None:
    asked: dict[str, Any] = {"tools": [tool(Owner)], "tool_choice": "required", "n": 2}
    chunks = events(served, CHAT, max_tokens=1500, parallel_tool_calls=False, seed=3, **asked)
    told = ["", ""]
    for chunk in chunks:
        for choice in chunk["choices"]:
            for delta in choice["delta"].get("tool_calls", []):
                told[choice["index"]] += delta["function"]["arguments"]
    for arguments in told:
        Owner.model_validate_json(arguments)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "https://example.com/x.json"}, "only parts of the schema itself"),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}}, "$ref at /properties/a"),
        ({"type": "objekt"}, "objekt"),
    ],
)
def test_what_is_wrong_is_a_400_in_tools_as_in_formats(
    served: Served, schema: dict[str, Any], says: str
) -> None:
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]}
    function = {"type": "function", "function": {"name": "f", "parameters": schema}}
    for asked in ({"guided_json": schema}, {"tools": [function], "tool_choice": "required"}):
        assert says in refusal(served.post(CHAT, **body, **asked))["message"]
