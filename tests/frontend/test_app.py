"""Handling common to every request: ids, limits, and one form of error."""

import io

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from rowcast.text.tokens.tokenizer import ScriptedTokenizer

from .serving import SECRET, Served, error_of, serving

EXPECTED_NAME = "Malformed JSON request body: Expecting property name enclosed in double quotes"


@pytest.mark.parametrize("path", ["/nowhere", "/inference/", "/inference/scripted/", "/chat"])
def test_an_unknown_path_is_a_404_in_json(served: Served, path: str) -> None:
    assert error_of(served.post(path, text="Hi"), 404).endswith(f"nothing is served at {path}")


def test_a_doubled_slash_is_an_unknown_path_and_no_redirect(served: Served) -> None:
    assert error_of(served.post("/inference//scripted", text="Hi"), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/inference/scripted", "/chat/scripted", "/predictions/x"])
def test_a_wrong_method_is_a_405_that_says_which_is_right(
    served: Served, path: str, method: str
) -> None:
    response = served.client.open(path, method=method)
    assert error_of(response, 405).endswith(f"{method} is not allowed at {path}; send POST")
    assert "POST" in response.headers["Allow"]


def test_posting_to_health_is_a_405(served: Served) -> None:
    error_of(served.post("/liveness"), 405)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Malformed JSON request body: it is empty; send a JSON object"),
        (b"[]", "Malformed JSON request body: expected an object, such as {...}"),
        (
            b'{\n  "text": "Hi",\n  temperature":"1"\n}',
            f"{EXPECTED_NAME} at line 3, column 3",
        ),
        (
            b'{"text": "Hi", "stop_sequence": ".",}',
            f"{EXPECTED_NAME} at line 1, column 37",
        ),
        (b'{"text": "\xff"}', "Malformed JSON request body: byte 11 is not UTF-8"),
    ],
)
def test_a_malformed_body_is_a_400_that_says_where(
    served: Served, body: bytes, message: str
) -> None:
    assert error_of(served.client.post("/", data=body), 400) == message


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "top_k", "temperature", "stream", "other"])
def test_no_depth_of_nesting_is_the_server_s_fault(served: Served, name: str) -> None:
    for depth in [*range(850, 1020, 3), 10_000]:
        nested = "[" * depth + "]" * depth
        response = served.client.post(
            "/", data=f'{{"text": "Hi", "{name}_": 1, "{name}": {nested}}}'
        )
        error_of(response, 400)
        response = served.client.post("/", data=f'{{"{name}": {nested}}}')
        error_of(response, 400)


@pytest.mark.slow
def test_a_body_over_the_limit_is_a_413() -> None:
    with serving(settings={"body_bytes": 2000}) as served:
        assert served.post(text="x" * 1000, max_tokens=1).status_code == 200
        assert "the limit is 2000" in error_of(served.post(text="x" * 2000), 413)


def test_a_body_in_chunks_over_the_limit_is_a_413() -> None:
    with serving(settings={"body_bytes": 2000}) as served:
        stream = io.BytesIO(b'{"text": "' + b"x" * 2000)
        environ = EnvironBuilder("/", method="POST").get_environ()
        environ |= {"wsgi.input": stream, "wsgi.input_terminated": True}
        environ["HTTP_X_ROWCAST_PROXY_SECRET"] = SECRET
        _, status, _ = run_wsgi_app(served.app, environ)
        assert status.startswith("413 ")


def test_a_request_without_a_host_is_refused(served: Served) -> None:
    environ = EnvironBuilder("/liveness").get_environ()
    del environ["HTTP_HOST"]
    _, status, _ = run_wsgi_app(served.app, {**environ, "SERVER_PROTOCOL": "HTTP/1.1"})
    assert status.startswith("400 ")
    _, status, _ = run_wsgi_app(served.app, {**environ, "SERVER_PROTOCOL": "HTTP/1.0"})
    assert status.startswith("200 ")


@pytest.mark.parametrize("path", ["/liveness", "/readiness", "/nowhere"])
def test_a_plain_request_id_comes_back(served: Served, path: str) -> None:
    response = served.client.get(path, headers={"X-Request-ID": "my-id.7"})
    assert response.headers["X-Request-ID"] == "my-id.7"


@pytest.mark.parametrize("sent", [{}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 129}])
def test_a_request_without_a_plain_id_is_given_one(served: Served, sent: dict[str, str]) -> None:
    found = served.client.get("/liveness", headers=sent).headers["X-Request-ID"]
    assert len(found) == 32


def test_a_stream_has_its_request_id(served: Served) -> None:
    response = served.client.post(
        "/", json={"text": "Hi", "max_tokens": 1}, headers={"X-Request-ID": "mine"}, buffered=True
    )
    assert response.headers["X-Request-ID"] == "mine"


class BrokenTokenizer(ScriptedTokenizer):
    """Fails at prompts and replies that contain "broken"."""

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        if "broken" in text:
            raise RuntimeError(f"cannot encode {text}")
        return super().encode(text)


@pytest.mark.slow
def test_an_unexpected_error_is_a_500_that_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(tokenizer=BrokenTokenizer()) as served:
        message = error_of(served.post(text="a broken prompt"), 500)
        assert message == "Internal server error; see the server's log for this request's id"
        assert served.post(text="a sound one", max_tokens=1).status_code == 200
    assert any("unexpected error" in record.message for record in caplog.records)
