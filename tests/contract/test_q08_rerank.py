"""Q-08: reranking by plain HTTP clients, in both forms, equal to what transformers computes."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from contract.conftest import LOADING, Stack
from engine import rule
from engine.tiny_rerankers import classified, judged, save_classifier, save_judge, word_tokenizer
from processes import SERVER, Running, free_port, running
from scripted_replies import scripted_reply

QUERY = "w30 w31 w32"
DOCUMENTS = [f"w{40 + at} w{60 + at} " + "w99 " * (at % 5) for at in range(20)]
TIMEOUT = 60.0


def rerank(url: str, path: str = "/v1/rerank", token: str = "none", **body: Any) -> dict[str, Any]:
    answer = requests.post(
        url + path, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def scores(answer: dict[str, Any]) -> list[float]:
    """Return the scores in the order of the documents; check that the answer's order is theirs."""
    results = answer["results"]
    best = [each["relevance_score"] for each in results]
    assert best == sorted(best, reverse=True)
    return [each["relevance_score"] for each in sorted(results, key=lambda result: result["index"])]


@pytest.fixture(scope="module")
def rerankers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """One server of two rerankers, one of each form, in fp32."""
    folder, port = tmp_path_factory.mktemp("rerankers"), free_port()
    entries = {
        "judge": {"model": str(save_judge(folder))},
        "classifier": {"model": str(save_classifier("qwen3", folder))},
    }
    (folder / "models.json").write_text(
        json.dumps({name: {**each, "load": "start"} for name, each in entries.items()})
    )
    env = {
        "PORT": str(port),
        "MODELS": str(folder / "models.json"),
        "DTYPE": "float32",
        "DEVICE": "cpu",
        "JOURNAL": "off",
    }
    with running(SERVER, port, folder / "log", env=env, patience=LOADING) as server:
        yield server, folder


def test_q08_the_paths_of_three_kinds_of_clients(stack: Stack) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    documents = ["one", "two", "three"]
    for path in ("/v1/rerank", "/v2/rerank", "/rerank"):
        answer = rerank(
            stack.proxy.url, path, token, model="scripted", query="?", documents=documents, top_n=2
        )
        wanted = []
        for each in documents:
            yes, no = (rule.logprob(f"?{each}".encode(), ord(word)) for word in "yn")
            wanted.append(1 / (1 + math.exp(no - yes)))
        best = answer["results"][0]
        assert best["relevance_score"] == pytest.approx(max(wanted))
        assert best["document"]["text"] == documents[best["index"]]
        assert len(answer["results"]) == 2


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_q08_errors_have_openais_form_at_the_proxy_too(stack: Stack, path: str) -> None:
    body = {"model": "scripted", "query": "?", "documents": []}
    headers = {"Authorization": stack.authorization}
    answer = requests.post(stack.proxy.url + path, json=body, headers=headers, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "documents")
    answer = requests.post(stack.proxy.url + path, json=body, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.slow
def test_q08_yes_among_yes_and_no_is_transformers(rerankers: tuple[Running, Path]) -> None:
    server, folder = rerankers
    found = scores(rerank(server.url, model="judge", query=QUERY, documents=DOCUMENTS))
    plain = word_tokenizer()
    texts = [f"w3 w4 w5 w6 {QUERY} w7 {each} w8" for each in DOCUMENTS[:5]]
    prompts = [plain.encode(each, add_special_tokens=False).ids for each in texts]
    assert found[:5] == pytest.approx(judged(folder / "qwen3", prompts), abs=1e-4)
    assert len(set(found)) == len(found)


@pytest.mark.slow
def test_q08_a_classifiers_label_is_transformers(rerankers: tuple[Running, Path]) -> None:
    server, folder = rerankers
    found = scores(rerank(server.url, model="classifier", query=QUERY, documents=DOCUMENTS))
    prompts = [word_tokenizer().encode(QUERY, each).ids for each in DOCUMENTS[:5]]
    labels = classified(folder / "qwen3-classifier", prompts)
    assert found[:5] == pytest.approx([1 / (1 + math.exp(-each)) for each in labels], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["judge", "classifier"])
def test_q08_a_score_has_the_same_bits_in_any_company(
    rerankers: tuple[Running, Path], model: str
) -> None:
    server, _ = rerankers
    whole = scores(rerank(server.url, model=model, query=QUERY, documents=DOCUMENTS))
    for at in (0, 11, 19):
        alone = rerank(server.url, model=model, query=QUERY, documents=[DOCUMENTS[at]])
        assert scores(alone) == [whole[at]]
    backwards = rerank(server.url, model=model, query=QUERY, documents=DOCUMENTS[::-1])
    assert scores(backwards) == whole[::-1]


@pytest.mark.slow
def test_q08_a_classifier_writes_nothing_but_has_vectors(rerankers: tuple[Running, Path]) -> None:
    server, _ = rerankers
    body = {"model": "classifier", "prompt": "w5", "max_tokens": 3}
    answer = requests.post(f"{server.url}/v1/completions", json=body, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "is a classifier, which writes no replies" in answer.json()["error"]["message"]
    body = {"model": "classifier", "input": "w5"}
    answer = requests.post(f"{server.url}/v1/embeddings", json=body, timeout=TIMEOUT)
    assert len(answer.json()["data"][0]["embedding"]) == 64


def test_q08_rerank_beside_a_chat_changes_neither(stack: Stack) -> None:
    body = {"model": "scripted", "query": "?" * 300, "documents": DOCUMENTS}
    headers = {"Authorization": stack.authorization}
    found = set()
    for seed in range(4):
        url = f"{stack.proxy.url}/v1/completions"
        chat = {"model": "scripted", "prompt": "Hello", "seed": seed, "max_tokens": 100}
        with requests.post(url, json=chat, headers=headers, timeout=TIMEOUT) as reply:
            found.add(
                requests.post(
                    f"{stack.proxy.url}/rerank", json=body, headers=headers, timeout=TIMEOUT
                ).text
            )
            text = reply.json()["choices"][0]["text"]
            assert text == scripted_reply("Hello", seed, 100).text
    assert len(found) == 1
