"""Sends embedding requests in this process, and computes the expected answers."""

import math
from collections.abc import Sequence
from typing import Any

from engine import rule

from ...serving import Served

PATH = "/v1/embeddings"


def embedded(served: Served, **fields: Any) -> dict[str, Any]:
    """Return the answer to a request."""
    response = served.post(PATH, **{"model": "scripted", "input": "Hello"} | fields)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = response.get_json()
    return found


def vectors(served: Served, **fields: Any) -> list[Any]:
    """Return the vectors of an answer; check that they are in order."""
    data = embedded(served, **fields)["data"]
    assert [each["index"] for each in data] == list(range(len(data)))
    assert {each["object"] for each in data} == {"embedding"}
    return [each["embedding"] for each in data]


def expected(
    prompt: Sequence[int], pooling: str = "last", dimensions: int = 64, *, normalize: bool = True
) -> list[float]:
    """Return the scripted model's vector, by the rule."""
    numbers = rule.vector(prompt, pooling)[:dimensions]
    length = math.sqrt(math.fsum(each * each for each in numbers)) if normalize else 1.0
    return [rule.fp32(each / length) for each in numbers]
