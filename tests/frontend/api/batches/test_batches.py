"""Files and batches over HTTP: uploads, lines, results, and what is wrong with them.

Covers `api/batches`, `api/batches/files`, `batches/types`, `batches/openapi`, `uploads`,
`api/batches/lines`.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from processes import until
from rowcast.journal.background.table import BackgroundTable

from ...serving import PATIENCE, Served, serving

pytestmark = pytest.mark.slow

CHAT = "/v1/chat/completions"
PART = b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    engine = RecordedEngine(step_seconds=0.002)
    folder: Path = tmp_path_factory.mktemp("batches")
    with serving(engine=engine, journal=folder / "journal.db") as made:
        made.frontend.background.start(made.frontend.parsing)
        yield made


def line(name: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Hello {name}"}]
    body = {"model": "scripted", "messages": messages, "seed": 1, "max_tokens": 8}
    whole = {"custom_id": name, "method": "POST", "url": CHAT, "body": body}
    return whole | more


def upload(served: Served, content: bytes, **headers: str) -> TestResponse:
    sent = {"purpose": "batch", "file": (io.BytesIO(content), "in.jsonl")}
    return served.client.post("/v1/files", data=sent, headers=headers, buffered=True)


def begun(served: Served, *lines: object, **more: Any) -> TestResponse:
    """Upload these lines, and begin a batch of them."""
    content = b"\n".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines
    )
    file = upload(served, content).get_json()["id"]
    body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"} | more
    return served.client.post("/v1/batches", json=body, buffered=True)


def ended(served: Served, batch: str) -> dict[str, Any]:
    def now() -> dict[str, Any]:
        answer = served.client.get(f"/v1/batches/{batch}", buffered=True).get_json()
        assert isinstance(answer, dict)
        return answer

    until(lambda: now()["status"] != "in_progress", "the batch has ended", PATIENCE)
    return now()


def lines_of(served: Served, file: str) -> list[dict[str, Any]]:
    response = served.client.get(f"/v1/files/{file}/content", buffered=True)
    assert response.status_code == 200
    return [json.loads(each) for each in response.data.splitlines()]


def test_a_file_comes_back_as_it_was_sent(served: Served) -> None:
    content = bytes(range(256)) * 9000  # more than one part
    file = upload(served, content).get_json()
    assert (file["bytes"], file["filename"], file["purpose"]) == (len(content), "in.jsonl", "batch")
    path = f"/v1/files/{file['id']}"
    assert served.client.get(path, buffered=True).get_json() == file
    assert served.client.get(f"{path}/content", buffered=True).data == content
    gone = served.client.delete(path, buffered=True).get_json()
    assert gone == {"id": file["id"], "object": "file", "deleted": True}
    for each in (path, f"{path}/content"):
        assert served.client.get(each, buffered=True).status_code == 404


def test_results_are_those_of_the_same_requests_over_http(served: Served) -> None:
    wrong = line("b", body=line("b")["body"] | {"temperature": "hot"})
    begin = begun(served, line("a"), wrong, b"", line("c"), metadata={"run": "1"}).get_json()
    assert (begin["object"], begin["status"]) == ("batch", "in_progress")
    batch = ended(served, begin["id"])
    assert batch["status"] == "completed"
    assert batch["metadata"] == {"run": "1"}
    assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    good = lines_of(served, batch["output_file_id"])
    assert [each["custom_id"] for each in good] == ["a", "c"]
    for each in good:
        same = served.post(CHAT, **line(each["custom_id"])["body"]).get_json()
        assert each["response"]["body"]["choices"] == same["choices"]
    (bad,) = lines_of(served, batch["error_file_id"])
    assert (bad["custom_id"], bad["response"]["status_code"]) == ("b", 400)
    assert bad["response"]["body"]["error"]["param"] == "temperature"


def test_responses_and_embeddings_are_computed_in_batches(served: Served) -> None:
    url = "/v1/responses"
    body = {"model": "scripted", "input": "Hello", "seed": 1, "max_output_tokens": 8}
    first = served.post(url, **body).get_json()
    bodies = [
        body,
        body | {"store": False},
        body | {"previous_response_id": first["id"]},
    ]
    lines = [line(f"{at}", url=url, body=each) for at, each in enumerate(bodies)]
    batch = ended(served, begun(served, *lines, endpoint=url).get_json()["id"])
    assert batch["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    for each, sent in zip(lines_of(served, batch["output_file_id"]), bodies, strict=True):
        same = served.post(url, **sent).get_json()
        computed = each["response"]["body"]
        assert computed["output"][0]["content"] == same["output"][0]["content"]
        assert computed["usage"] == same["usage"]
    embed = {"model": "scripted", "input": "Hello", "dimensions": 4}
    lines = [line("a", url="/v1/embeddings", body=embed)]
    begin = begun(served, *lines, endpoint="/v1/embeddings").get_json()
    (only,) = lines_of(served, ended(served, begin["id"])["output_file_id"])
    same = served.post("/v1/embeddings", **embed).get_json()
    assert only["response"]["body"]["data"] == same["data"]


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        (b"not json", "invalid_json_line", "not a request"),
        (b"[" * 5000, "invalid_json_line", "not a request"),
        (b'{"custom_id": "\xff"}', "invalid_json_line", "not a request"),
        ({"custom_id": "x"}, "invalid_json_line", "method"),
        (line("x", body=[]), "invalid_json_line", "object"),
        (line("a"), "invalid_line", "'a' was used"),
        (line(""), "invalid_line", "custom_id"),
        (line("x", method="GET"), "invalid_line", "POST"),
        (line("x", url="/v1/completions"), "invalid_line", CHAT),
        (line("x", body={"stream": True}), "invalid_line", "body.stream"),
    ],
)
def test_a_wrong_line_fails_the_batch_before_any_is_computed(
    served: Served, wrong: object, code: str, words: str
) -> None:
    batch = begun(served, line("a"), wrong).get_json()
    assert batch["status"] == "failed"
    (error,) = batch["errors"]["data"]
    assert (error["code"], error["line"]) == (code, 2)
    assert words in error["message"]
    assert batch["request_counts"]["total"] == 0


def test_an_empty_file_fails_the_batch(served: Served) -> None:
    batch = begun(served, b"\n\n").get_json()
    assert batch["errors"]["data"][0]["code"] == "empty_file"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"endpoint": "/v1/models"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"k": "v" * 513}}, 'metadata["k"]'),
        ({"metadata": {str(at): "" for at in range(17)}}, "metadata"),
        ({"wrong": 1}, "wrong"),
    ],
)
def test_a_wrong_field_is_a_400(served: Served, more: dict[str, Any], param: str) -> None:
    response = begun(served, line("a"), **more)
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == param


def test_a_batch_needs_an_uploaded_file_of_its_team(served: Served) -> None:
    response = begun(served, line("a"), input_file_id="file-0")
    assert response.status_code == 404
    assert "there is no file" in response.get_json()["error"]["message"]
    other = upload(served, b"{}", **{"X-Rowcast-Team": "red"}).get_json()["id"]
    assert begun(served, line("a"), input_file_id=other).status_code == 404
    output = ended(served, begun(served, line("a")).get_json()["id"])["output_file_id"]
    assert begun(served, line("a"), input_file_id=output).status_code == 400


def test_a_cancelled_batch_frees_its_rows(served: Served) -> None:
    body = line("a")["body"] | {"max_tokens": 3000, "ignore_eos": True}
    name = begun(served, *(line(str(at), body=body) for at in range(30))).get_json()["id"]
    steps = len(served.engine.steps)
    until(lambda: len(served.engine.steps) > steps + 3, "lines are computed", PATIENCE)
    batch = served.client.post(f"/v1/batches/{name}/cancel", buffered=True).get_json()
    assert batch["status"] == "cancelled"
    served.await_idle()
    errors = lines_of(served, batch["error_file_id"])
    assert {each["error"]["code"] for each in errors} == {"batch_cancelled"}
    assert len(errors) == 30


def test_a_line_takes_a_row_for_each_choice(served: Served) -> None:
    body = {"model": "scripted", "prompt": ["a", "b"], "n": 2, "max_tokens": 3000}
    lines = (line("several", body=body | {"ignore_eos": True}, url="/v1/completions"),)
    batch = begun(served, *lines, endpoint="/v1/completions").get_json()["id"]
    client = served.frontend.background.client
    until(lambda: bool(client.do(BackgroundTable.lines, batch)), "they are read", PATIENCE)
    assert [each.rows for each in client.do(BackgroundTable.lines, batch)] == [4]
    served.client.post(f"/v1/batches/{batch}/cancel", buffered=True)
    assert ended(served, batch)["status"] == "cancelled"


def test_lists_have_pages_of_one_team(served: Served) -> None:
    red = {"X-Rowcast-Team": "red-lists"}
    files = [upload(served, b"{}", **red).get_json()["id"] for _ in range(3)]
    page = served.client.get("/v1/files?limit=2", headers=red, buffered=True).get_json()
    assert [each["id"] for each in page["data"]] == files[:0:-1]
    assert page["has_more"]
    rest = served.client.get(f"/v1/files?after={files[1]}", headers=red, buffered=True).get_json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (files[:1], False)
    first = served.client.get("/v1/files?order=asc", headers=red, buffered=True).get_json()
    assert [each["id"] for each in first["data"]] == files
    none = served.client.get("/v1/batches", headers=red, buffered=True).get_json()
    assert none == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    for query in ("limit=0", "limit=x", "limit=0000000019999", "order=up"):
        assert served.client.get(f"/v1/files?{query}", buffered=True).status_code == 400


@pytest.mark.parametrize(
    ("sent", "kind", "words"),
    [
        (PART + b"--x--\r\n", "multipart/form-data; boundary=x", "file is missing"),
        ({"purpose": "assistants", "file": (io.BytesIO(b"x"), "x")}, "", "purpose"),
        ({"file": (io.BytesIO(b"x"), "x")}, "", "purpose"),
        (PART * 40 + b"--x--\r\n", "multipart/form-data; boundary=x", "at most 16 parts"),
        (b"{}", "application/json", "multipart/form-data"),
        (b"garbage", "multipart/form-data", "multipart/form-data"),
        (b"garbage", "multipart/form-data; boundary=x", "not valid multipart"),
    ],
)
def test_a_wrong_upload_is_a_400(served: Served, sent: Any, kind: str, words: str) -> None:
    response = served.client.post("/v1/files", data=sent, content_type=kind or None, buffered=True)
    assert response.status_code == 400
    assert words in response.get_json()["error"]["message"]
