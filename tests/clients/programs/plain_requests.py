"""requests, as a program without a client uses it: text, events, vectors, and what is refused."""

import json
import os

import requests

URL = os.environ["ROWCAST_URL"]
TOKEN = os.environ["ROWCAST_TOKEN"]

with requests.Session() as session:
    session.headers["Authorization"] = f"Bearer {TOKEN}"

    def sent(path: str, *, stream: bool = False, **body: object) -> requests.Response:
        answer = session.post(URL + path, json=body, stream=stream, timeout=60)
        answer.raise_for_status()
        return answer

    whole = sent("/inference/falcon40b", text="Hello", seed=5, max_tokens=20).text
    with sent("/inference/falcon40b", stream=True, text="Hello", seed=5, max_tokens=20) as answer:
        parts = list(answer.iter_content(chunk_size=None, decode_unicode=True))
    assert "".join(parts) == whole, (parts, whole)
    print(f"raw text: {len(parts)} parts of {whole[:40]!r}")

    chat = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}], "seed": 5}
    message = sent("/v1/chat/completions", **chat, max_tokens=20).json()["choices"][0]["message"]
    with sent("/v1/chat/completions", stream=True, **chat, max_tokens=20) as plain:
        assert plain.headers["Content-Type"] == "application/json"
    with session.post(
        f"{URL}/v1/chat/completions",
        json={**chat, "max_tokens": 20, "stream": True},
        stream=True,
        timeout=60,
    ) as answer:
        lines = [line for line in answer.iter_lines(decode_unicode=True) if line]
    datas = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert datas.pop() == "[DONE]", datas
    deltas = [json.loads(data)["choices"][0]["delta"].get("content") or "" for data in datas]
    assert "".join(deltas) == message["content"], deltas
    print(f"chat: {len(datas)} events of {message['content'][:40]!r}")

    vectors = sent("/v1/embeddings", model="scripted", input=["one", "two"]).json()["data"]
    assert [len(each["embedding"]) for each in vectors] == [64, 64]
    ranked = sent("/v1/rerank", model="scripted", query="?", documents=["one", "two"]).json()
    assert sorted(each["index"] for each in ranked["results"]) == [0, 1]
    print(f"vectors and ranks: {ranked['results'][0]}")

    refused = session.post(f"{URL}/v1/completions", json={"model": "nothing"}, timeout=60)
    assert refused.status_code in {400, 404}, refused.text
    assert refused.json()["error"]["message"]
    unknown = requests.post(f"{URL}/v1/completions", json={"model": "scripted"}, timeout=60)
    assert unknown.status_code == 401, unknown.text
