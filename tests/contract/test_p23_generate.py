"""P-05, P-23, P-30: the synchronous route of the service with tasks, and what its bodies say."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from contract.asking import post
from processes import Running
from scripted_replies import scripted_reply

TEXT = "Hello, how are you?"


def test_p23_generate_answers_with_status_and_result(server: Running) -> None:
    answer = post(server.port, {"text": TEXT, "seed": 4}, "/generate").json()
    assert answer["status"] == "finished"
    assert answer["result"] == scripted_reply(TEXT, 4, 16).text


def test_p30_its_bodies_have_names_of_their_own(server: Running) -> None:
    body = {"text": TEXT, "seed": 4, "max_tokens": 20}
    expected = scripted_reply(TEXT, 4, 20).text
    for speculative in (True, False):
        more = {"model_name": "scripted", "dyn_batch": 1, "speculative_decoding": speculative}
        answer = post(server.port, body | more, "/generate")
        assert answer.json()["result"] == expected
        assert answer.json()["model"] == "scripted"
    unknown = post(server.port, body | {"model_name": "vicuna_q2"}, "/generate")
    assert unknown.status == 404
    assert "scripted" in unknown.json()["message"]


def test_p05_p30_dyn_batch_limits_how_many_requests_share_a_step(paced_server: Running) -> None:
    body = {"text": TEXT, "max_tokens": 100, "dyn_batch": 2}

    def generate(seed: int) -> str:
        answer = requests.post(f"{paced_server.url}/generate", json=body | {"seed": seed})
        return str(answer.json()["result"])

    with ThreadPoolExecutor() as pool:
        results = [pool.submit(generate, seed) for seed in range(6)]
        seated = set()
        while not all(each.done() for each in results):
            health = requests.get(f"{paced_server.url}/health", timeout=10).json()
            seated.add(health["rows"]["seated"])
            time.sleep(0.05)
    assert max(seated) == 2
    assert [each.result() for each in results] == [
        scripted_reply(TEXT, seed, 100).text for seed in range(6)
    ]
