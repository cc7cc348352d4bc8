"""Kinds: which texts and values of JSON they accept, the values that these mean, and their rules.

Covers `compounds`, `rowcast_settings/secret`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from rowcast_settings.compounds import Fitting, Several, TextOrObject
from rowcast_settings.kinds import (
    Choice,
    Invalid,
    Kind,
    Number,
    Place,
    Switch,
    Text,
    Whole,
)
from rowcast_settings.secret import Secret, SecretText

COLOURS = Choice(("red", "green"), {"rot": "red"})
NAME = Text("^[a-z]+$", 1, 3)


@pytest.mark.parametrize(
    ("kind", "value", "meant"),
    [
        (Whole(1), "7", 7),
        (Whole(1), " 7_000 ", 7000),
        (Whole(1), "7.0", 7),
        (Whole(1), "+007", 7),
        (Whole(-9), "-7", -7),
        (Whole(1), 7.0, 7),
        (Number(0, 10), "1e0", 1.0),
        (Number(0, 10), " .5 ", 0.5),
        (Number(0, 10), 10, 10.0),
        (Switch(), "Yes", True),
        (Switch(), "1", True),
        (Switch(), 0, False),
        (Switch(), "OFF", False),
        (COLOURS, "rot", "red"),
        (Choice(("a",), any_case=True), "A", "a"),
        (Place(), "/x", Path("/x")),
        (Place(), Path("/x"), Path("/x")),
        (SecretText(), "s", Secret("s")),
        (SecretText(), Secret("s"), Secret("s")),
        (Fitting(Whole(1), lambda number: number % 2 == 0, "has to be even"), "4", 4),
    ],
)
def test_a_text_means_a_value(kind: Kind[Any], value: object, meant: object) -> None:
    found = kind.checked(value)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        (Whole(1), "0", "has to be a whole number of 1 or more"),
        (Whole(1, 9), "10", "has to be a whole number from 1 to 9"),
        (Whole(1), "7.5", "has to be a whole number of 1 or more"),
        (Whole(1), "\u0667", "has to be a whole number of 1 or more"),
        (Whole(1), "7" * 5000, "has to be a whole number of 1 or more"),
        (Whole(1), True, "has to be a whole number of 1 or more"),
        (Whole(1), None, "has to be a whole number of 1 or more"),
        (Number(0, 10), "nan", "has to be a number from 0 to 10"),
        (Number(0, 10), "inf", "has to be a number from 0 to 10"),
        (Number(0, 10), 10**400, "has to be a number from 0 to 10"),
        (Number(0, 10, above=True), 0, "has to be a number above 0, at most 10"),
        (Switch(), "2", "has to be true or false"),
        (Switch(), [], "has to be true or false"),
        (COLOURS, "RED", "has to be red or green"),
        (COLOURS, 1, "has to be red or green"),
        (NAME, "abcd", "has to be a text of 1 to 3 characters that matches ^[a-z]+$"),
        (NAME, "a\n", "has to be a text of 1 to 3 characters that matches ^[a-z]+$"),
        (Text(least=1), "", "has to be a text of 1 or more characters"),
        (Text(), 1, "has to be a text"),
        (Place(), 1, "has to be a path"),
        (SecretText(), 1, "has to be a text"),
        (Several(COLOURS, 2), ["red", 1], "has to be a list of at most 2; each has to be red or"),
        (Several(COLOURS, 2), ["red"] * 3, "has to be a list of at most 2; each has to be red or"),
        (TextOrObject(Text()), 1, "has to be a text, or an object"),
        (Fitting(Whole(1), lambda number: number % 2 == 0, "has to be even"), 3, "has to be even"),
    ],
)
def test_an_invalid_value_gets_the_rule(kind: Kind[Any], value: object, rule: str) -> None:
    with pytest.raises(Invalid) as raised:
        kind.checked(value)
    assert str(raised.value).startswith(rule)


def test_no_representation_shows_a_secret() -> None:
    secret = SecretText().checked("open sesame")
    assert secret.get_secret_value() == "open sesame"
    assert "sesame" not in f"{secret} {secret!r} {[secret]}"
    assert len({secret, Secret("open sesame"), Secret("x")}) == 2


KINDS: list[Kind[Any]] = [
    *(Whole(0), Whole(1, 9), Number(0, 10), Number(0, 10, above=True), Switch(), COLOURS, NAME),
    *(Several(NAME, 2), TextOrObject(NAME), Text(), Fitting(Text(), str.isascii, "x")),
]
ANY = (
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.sampled_from([0.5, -0.5, 10.5])
    | st.text("aé1", max_size=4)
    | st.lists(st.text("a1", max_size=2), max_size=3)
    | st.dictionaries(st.text("a", max_size=1), st.integers(), max_size=1)
)


@given(st.sampled_from(KINDS[:-1]), ANY)
@bounded(deadline=None)
def test_strict_values_are_those_of_the_schema(kind: Kind[Any], value: Any) -> None:
    valid = Draft202012Validator(json.dumps(kind.schema())).is_valid(value)
    if valid:
        assert kind.checked(value, strict=True) == value
    else:
        with pytest.raises(Invalid):
            kind.checked(value, strict=True)
