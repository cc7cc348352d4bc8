"""The native dialect's fields: defaults, bounds, and errors that say what to change."""

from typing import Any

import pytest

from rowcast.sampling_params import SamplingParams

from ..serving import Served, lasting_seed, spoken


def refusal(served: Served, **fields: Any) -> str:
    """Return the message with which a body is refused."""
    response = served.post("/", **{"text": "Hi", **fields})
    assert response.status_code == 400, response.text
    body = response.get_json()
    assert set(body) == {"status_code", "message"}
    assert body["status_code"] == 400
    assert served.engine.steps == []
    return str(body["message"])


def test_what_is_not_said_has_its_default(served: Served) -> None:
    seed = lasting_seed("Hello", 200)
    assert served.answer(text="Hello", seed=seed)["completion_tokens"] == 128
    (seating,) = served.engine.seatings
    assert seating.params == SamplingParams(max_tokens=128, temperature=1.0, top_k=10, top_p=0.9)


def test_what_is_said_reaches_the_engine(served: Served) -> None:
    served.answer(text="Hello", temperature=0.5, top_k=7, top_p=0.25, max_tokens=3, seed=9)
    (seating,) = served.engine.seatings
    assert seating.params == SamplingParams(max_tokens=3, temperature=0.5, top_k=7, top_p=0.25)
    assert seating.seed == 9


def test_numbers_may_come_as_strings(served: Served) -> None:
    asked: dict[str, Any] = {
        "temperature": "1",
        "top_k": "40",
        "top_p": "0.9",
        "max_tokens": "32",
        "seed": "5",
    }
    assert served.post(text="Hello", **asked).text == spoken("Hello", 5, 32)
    (seating,) = served.engine.seatings
    assert seating.params == SamplingParams(max_tokens=32, temperature=1.0, top_k=40, top_p=0.9)


BOUNDS = [
    ("temperature", 0.01, 100),
    ("top_p", 0.01, 1),
    ("top_k", 1, 1000),
    ("max_tokens", 1, 2048),
    ("seed", 0, 2**63 - 1),
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, low, high in BOUNDS for value in (low, high)]
)
def test_bounds_are_inclusive(served: Served, name: str, value: float) -> None:
    asked: dict[str, Any] = {"max_tokens": 1, name: value}
    assert served.post(text="Hello", **asked).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", 0.009),
        ("temperature", 100.1),
        ("top_p", 0),
        ("top_p", 1.001),
        ("top_k", 0),
        ("top_k", 1001),
        ("top_k", -1),
        ("max_tokens", 0),
        ("max_tokens", 2049),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_beyond_its_bounds_a_value_is_refused_with_them(
    served: Served, name: str, value: float
) -> None:
    low, high = next(bounds for field, *bounds in BOUNDS if field == name)
    assert refusal(served, **{name: value}).endswith(f"number from {low} to {high}")


@pytest.mark.parametrize("name", [name for name, *_ in BOUNDS])
@pytest.mark.parametrize("value", ["abc", True, [], {}, "", "nan", 10**400])
def test_what_is_no_number_is_refused_by_name(served: Served, name: str, value: Any) -> None:
    assert refusal(served, **{name: value}).startswith(f"{name} is ")


def test_not_a_number_is_refused_by_name_and_range(served: Served) -> None:
    body = '{"text": "Hi", "top_k": NaN}'
    response = served.client.post("/", data=body)
    assert response.status_code == 400
    assert response.get_json()["message"] == ("top_k is nan; send a whole number from 1 to 1000")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": None}, "text is missing; a string is required"),
        ({"text": ""}, "text is empty; send at least one character"),
        ({"text": 5}, "text is 5; expected a string"),
        ({"stop_sequence": ["."]}, "stop_sequence is ['.']; expected a string"),
        ({"session_id": 5}, "session_id is 5; expected a string"),
        ({"user_id": 5}, "user_id is 5; expected a string"),
        ({"stream": "perhaps"}, "stream is 'perhaps'; send true or false"),
        ({"return_prompt": 1}, "return_prompt is 1; send true or false"),
        ({"max_token": 5}, "'max_token' is not a known field; did you mean max_tokens?"),
        ({"prompt": "Hi"}, "'prompt' is not a known field; did you mean text?"),
        ({"max_new_tokens": 5}, "'max_new_tokens' is not a known field; did you mean max_tokens?"),
        ({"stop": "."}, "'stop' is not a known field; did you mean stop_sequence?"),
    ],
)
def test_a_wrong_field_is_refused_with_what_to_change(
    served: Served, fields: dict[str, Any], message: str
) -> None:
    assert refusal(served, **fields) == message


def test_null_stands_for_a_field_that_was_not_sent(served: Served) -> None:
    names = ["temperature", "top_k", "stop_sequence", "stream", "return_prompt", "session_id"]
    asked: dict[str, Any] = {**dict.fromkeys(names), "text": "Hello", "seed": 3, "max_tokens": 20}
    assert served.post(**asked).text == spoken("Hello", 3, 20)
