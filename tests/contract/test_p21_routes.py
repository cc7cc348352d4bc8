"""P-21, P-29, E-11, E-18: health in two meanings, documents without a network, no padding."""

import re
from pathlib import Path

import pytest

from contract.asking import get, post
from processes import SERVER, Running, free_port, running, until
from scripted_replies import scripted_reply


def test_p21_health_check_follows_readiness(server: Running) -> None:
    answer = get(server.port, "/health_check")
    assert answer.status == get(server.port, "/readiness").status == 200
    assert answer.json()["model"] == "scripted"


@pytest.mark.slow
def test_p21_e11_a_server_that_loads_is_live_and_not_ready(tmp_path: Path) -> None:
    """Slow steps over a prompt of 1,024 tokens in all rows come before it is ready."""
    port = free_port()
    env = {"WARM_ROWS": "32", "STEP_SECONDS": "0.05", "PORT": str(port)}
    with running(SERVER, port, tmp_path / "log", env=env, ready_path="/liveness") as server:
        assert get(port, "/liveness").status == 200
        for path in ("/readiness", "/health_check", "/health"):
            assert get(port, path).status == 503
        until(server.ready, "it is loaded", 60)
        assert get(port, "/health_check").status == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_p29_documents_need_no_network(server: Running, path: str) -> None:
    answer = get(server.port, path)
    assert answer.status == 200
    assert re.findall(r"(?:src|href)=[\"'](https?:)?//", answer.text) == []
    assert "@import" not in answer.text
    if path.endswith(".json"):
        assert {"/generate", "/v1/completions", "/health_check"} <= set(answer.json()["paths"])


def test_e18_prompts_of_different_lengths_are_answered_as_if_each_were_alone(
    server: Running,
) -> None:
    prompts = ["a", "a longer one", "the longest of the three prompts"]
    body = {"model": "scripted", "prompt": prompts, "seed": 3, "max_tokens": 9}
    choices = post(server.port, body, "/v1/completions").json()["choices"]
    expected = [scripted_reply(prompt, 3, 9).text for prompt in prompts]
    assert [choice["text"] for choice in choices] == expected
