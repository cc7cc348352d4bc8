"""FlexFlow's objects: what their arguments become, and the sentence of each mistake."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import rowcast.compatible.flexflow as ff
from rowcast import RowcastError
from rowcast.serving.client import Client


def described(llm: ff.LLM) -> dict[str, Any]:
    """Return the entry of the model that a compiled LLM would serve."""
    assert llm._server is not None
    (model,) = llm._server.models.values()
    return model.entry()


@pytest.mark.parametrize(
    ("config", "sampling"),
    [
        (None, {"temperature": 0.0}),
        (ff.GenerationConfig(topk=5), {"temperature": 0.0}),
        (
            ff.GenerationConfig(do_sample=True, temperature=0.7, topp=0.5, topk=9),
            {"temperature": 0.7, "top_p": 0.5, "top_k": 9},
        ),
    ],
)
def test_the_generation_config_becomes_the_defaults_of_the_model(
    config: ff.GenerationConfig | None, sampling: dict[str, float]
) -> None:
    llm = ff.LLM("scripted", data_type=ff.DataType.DT_FLOAT)
    llm.compile(config)
    assert described(llm) == {
        "model": "scripted",
        "dtype": "float32",
        "generation_config": sampling,
    }


def test_the_first_small_model_is_the_draft() -> None:
    small, llm = ff.SSM("draft"), ff.LLM("storyteller")
    small.compile(ff.GenerationConfig(), max_requests_per_batch=1)
    llm.compile(ff.GenerationConfig(), max_tokens_per_batch=64, ssms=[small])
    assert described(llm)["draft"] == "draft"


def test_what_describes_other_hardware_has_no_effect() -> None:
    ff.init(num_gpus=4, memory_per_gpu=14000, tensor_parallelism_degree=4)
    ff.init({"num_gpus": 1})
    plain, parallel = ff.LLM("scripted"), ff.LLM("scripted", refresh_cache=True)
    plain.compile()
    parallel.compile(max_requests_per_batch=16, model_specific_tensor_parallelism_degree=2)
    assert described(plain) == described(parallel)


def test_a_text_can_be_decoded_like_the_bytes_of_the_original() -> None:
    text = ff.Text("Zoë")
    assert text.decode("utf-8") == text.decode() == "Zoë"
    assert isinstance(text, str)


NO_TEXT: Any = 5


def compiled() -> ff.LLM:
    llm = ff.LLM("scripted")
    llm.compile()
    return llm


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ff.LLM("scripted").start_server(), r"call compile\(\) before start_server\(\)"),
        (lambda: compiled().generate("Hi"), r"call start_server\(\) first"),
        (lambda: compiled().generate([NO_TEXT]), "takes a string, or a list of strings"),
        (lambda: compiled().compile(max_seq_length=0), "max_seq_length is 0; give a whole number"),
        (
            lambda: compiled().compile(ff.GenerationConfig(do_sample=True, topp=7)),
            "top_p is 7; give a number from 0 to 1",
        ),
    ],
)
def test_a_mistake_is_one_sentence(call: Callable[[], None], sentence: str) -> None:
    with pytest.raises(RowcastError, match=sentence):
        call()


def test_a_server_that_does_not_run_can_be_stopped() -> None:
    compiled().stop_server()


REFUSED = b'{"error": {"message": "no backend is connected"}}'


def refusing(delays: list[str], sent: list[str]) -> type[BaseHTTPRequestHandler]:
    """Return a server that refuses once for each delay, which it names, and then answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.path)
            later = delays.pop(0) if delays else ""
            body = REFUSED if later else b'{"answer": 1}'
            self.send_response(503 if later else 200)
            self.send_header("Content-Length", str(len(body)))
            if later.isdigit():
                self.send_header("Retry-After", later)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler


@pytest.mark.parametrize(
    ("delays", "requests", "answers"),
    [(["0", "0"], 3, True), (["3600"], 1, False), (["never"], 1, False)],
)
def test_a_request_is_sent_again_while_a_decoder_is_replaced(
    delays: list[str], requests: int, answers: bool
) -> None:
    sent: list[str] = []
    with HTTPServer(("127.0.0.1", 0), refusing([*delays], sent)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        client = Client("127.0.0.1", server.server_port)
        try:
            if answers:
                assert ff.answered(client, "/x", {}) == {"answer": 1}
            else:
                with pytest.raises(RowcastError, match="no backend is connected"):
                    ff.answered(client, "/x", {})
        finally:
            server.shutdown()
            serving.join()
    assert sent == ["/x"] * requests
