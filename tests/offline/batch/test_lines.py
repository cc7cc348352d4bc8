"""The lines of an input file: two forms of requests, and what is none."""

import json
from pathlib import Path

import pytest

from rowcast.offline.batch.lines import Fault, Line, Task, count_lines, lines_of, task_of


def task(**sent: object) -> Task | Fault:
    return task_of(Line(3, json.dumps(sent).encode()), "story")


def test_openais_form_is_taken_as_it_is() -> None:
    body = {"model": "m", "prompt": "a", "seed": 1}
    found = task(custom_id="x", method="POST", url="/v1/completions", body=body)
    assert found == Task(3, "/v1/completions", json.dumps(body).encode(), "x")


def test_the_plain_form_has_the_batchs_model_and_its_own_columns() -> None:
    found = task(prompt="a", max_tokens=5, id=7, metadata={"b": 1})
    copied = {"id": 7, "metadata": {"b": 1}, "prompt": "a"}
    body = b'{"model": "story", "prompt": "a", "max_tokens": 5}'
    assert found == Task(3, "/v1/completions", body, None, copied)
    chat = task(messages=[], model="other")
    assert isinstance(chat, Task)
    assert chat.path == "/v1/chat/completions"
    assert json.loads(chat.body)["model"] == "other"


@pytest.mark.parametrize(
    ("content", "problem", "plain"),
    [
        (b"nonsense", "Malformed JSON", False),
        (b"[1]", "Malformed JSON|must be", False),
        (b"{}", "the line is not a request; send", False),
        (b'{"text": "a"}', "the line is not a request; send", True),
        (b'{"prompt": "a", "stream": true}', "stream is not supported in a batch", True),
        (b'{"custom_id": 1, "url": "/v1/completions", "body": {}}', "custom_id must be", False),
        (b'{"custom_id": "a", "url": "/v1/models", "body": {}}', "url must be the path", False),
        (b'{"custom_id": "a", "url": "/v1/completions"}', "body must be an object", False),
        (b'{"custom_id": "a", "url": "/x", "body": {}, "more": 1}', "more is not a field", False),
        (b'{"custom_id": "a", "method": "GET", "url": "/", "body": {}}', "method must be", False),
    ],
)
def test_a_fault_concerns_its_line_alone(content: bytes, problem: str, *, plain: bool) -> None:
    found = task_of(Line(5, content), "story")
    assert isinstance(found, Fault)
    assert (found.number, found.plain) == (5, plain)
    assert any(each in str(found.error) for each in problem.split("|"))


def test_empty_lines_do_not_count_and_long_ones_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"one\n\n  \ntwo\n" + b"x" * 5000 + b"\nfour")
    found = list(lines_of(path, 100))
    assert [(each.number, each.content) for each in found] == [
        (0, b"one\n"),
        (1, b"two\n"),
        (2, b""),
        (3, b"four"),
    ]
    assert [each.too_long for each in found] == [False, False, True, False]
    assert count_lines(path) == 4
    path.write_bytes(b"one\n" + b" " * 200 + b"\n")
    assert count_lines(path, 100) == len(list(lines_of(path, 100))) == 2
    assert count_lines(path, 300) == len(list(lines_of(path, 300))) == 1
    too_long = task_of(found[2], "story")
    assert isinstance(too_long, Fault)
    assert "longer than BODY_BYTES" in str(too_long.error)
