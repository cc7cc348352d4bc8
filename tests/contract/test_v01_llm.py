"""V-01 to V-06, V-12, F-01: a model in the program that uses it, with the replies of a server."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from processes import ROOT, Running
from rowcast import LLM, AsyncLLM, AsyncLLMServer, RowcastError, SamplingParams
from scripted_replies import scripted_reply

MESSAGES = [{"role": "user", "content": "Hello"}]
PROMPTS = ["Hello, my name is", "The future of AI is"]


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    """The scripted model in this program. Leave it as you found it."""
    with LLM("scripted") as llm:
        yield llm


def post(server: Running, path: str, **body: Any) -> Any:
    answer = requests.post(server.url + path, json={"model": "scripted", **body}, timeout=60)
    assert answer.ok, answer.text
    return answer.json()


def test_v01_a_data_set_is_computed_offline_with_the_bytes_of_the_server(
    llm: LLM, server: Running
) -> None:
    params: dict[str, Any] = {
        "max_tokens": 40,
        "temperature": 0.7,
        "seed": 9,
        "n": 3,
        "stop": ["."],
    }
    answer = post(server, "/v1/completions", prompt=PROMPTS, **params)
    outputs = llm.generate(PROMPTS, SamplingParams(**params))
    offline = [(reply.text, reply.finish_reason) for each in outputs for reply in each.outputs]
    assert offline == [(each["text"], each["finish_reason"]) for each in answer["choices"]]
    chat = post(server, "/v1/chat/completions", messages=MESSAGES, max_tokens=30, seed=4)
    (output,) = llm.chat(MESSAGES, SamplingParams(max_tokens=30, seed=4))
    assert output.outputs[0].message is not None
    assert output.outputs[0].message["content"] == chat["choices"][0]["message"]["content"]


def test_v01_a_file_is_computed_offline(server: Running, tmp_path: Path) -> None:
    body = {"model": "scripted", "prompt": "Hello", "max_tokens": 9, "seed": 5}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": body}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "rowcast.offline.batch",
            "in.jsonl",
            "out.jsonl",
            "--model=scripted",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "inference-api")},
        check=True,
        timeout=60,
    )
    (answer,) = (json.loads(each) for each in (tmp_path / "out.jsonl").read_text().splitlines())
    served = post(server, "/v1/completions", **body)
    assert answer["custom_id"] == "a"
    assert answer["response"]["body"]["choices"] == served["choices"]


def test_v02_the_classes_are_imported_by_their_names() -> None:
    code = (
        "import sys, rowcast; assert 'msgspec' not in sys.modules\n"
        "from rowcast import LLM, SamplingParams, AsyncLLM; assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "inference-api")},
        check=True,
        timeout=60,
    )


def test_v03_sampling_params_have_the_names_and_defaults() -> None:
    params = SamplingParams(temperature=0.8, top_p=0.95)
    assert (params.temperature, params.top_p, params.n, params.max_tokens) == (0.8, 0.95, 1, 16)
    with pytest.raises(RowcastError, match="top_p"):
        SamplingParams(top_p=2)


@pytest.mark.slow
def test_v04_a_model_is_named_by_its_path(draft: Running, tmp_path: Path) -> None:
    params: dict[str, Any] = {"max_tokens": 12, "seed": 3, "temperature": 0.9, "top_p": 0.95}
    rest = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}  # the model has other defaults
    body = {"prompt": PROMPTS, "model": "draft", "logprobs": 0, **params, **rest}
    answer = requests.post(f"{draft.url}/v1/completions", json=body, timeout=60).json()
    with LLM(model=str(ROOT / "models" / "draft"), dtype="float32") as llm:
        outputs = llm.generate(PROMPTS, SamplingParams(logprobs=0, **params))
    assert [each.outputs[0].text for each in outputs] == [c["text"] for c in answer["choices"]]
    for output, choice in zip(outputs, answer["choices"], strict=True):
        (reply,) = output.outputs
        assert reply.cumulative_logprob == sum(choice["logprobs"]["token_logprobs"])
    with pytest.raises(RowcastError, match="opt-125m"):
        LLM(model=str(tmp_path / "opt-125m"))


def test_v05_a_list_comes_back_in_its_order_and_shares_the_steps(llm: LLM) -> None:
    prompts = [f"Hello {number}" for number in range(64)]
    before = llm._runtime.served.status().steps
    outputs = llm.generate(prompts, SamplingParams(max_tokens=50, seed=2))
    assert [each.outputs[0].text for each in outputs] == [
        scripted_reply(prompt, 2, 50).text for prompt in prompts
    ]
    tokens = sum(len(each.outputs[0].token_ids) for each in outputs)
    assert llm._runtime.served.status().steps - before < tokens / 4


def test_v06_an_output_has_prompt_text_tokens_and_log_probabilities(llm: LLM) -> None:
    params = SamplingParams(max_tokens=6, seed=2, logprobs=1)
    (output,) = llm.generate("Hello", params)
    (reply,) = output.outputs
    assert (output.prompt, output.prompt_token_ids) == ("Hello", list(b"Hello"))
    assert reply.text == scripted_reply("Hello", 2, 6).text
    assert reply.logprobs is not None
    assert [next(iter(each)) for each in reply.logprobs] == reply.token_ids
    assert reply.cumulative_logprob == sum(
        each[token].logprob for each, token in zip(reply.logprobs, reply.token_ids, strict=True)
    )


def test_v10_beams_are_those_of_the_server(llm: LLM, server: Running) -> None:
    params = SamplingParams(
        use_beam_search=True, n=2, best_of=3, temperature=0, length_penalty=2.0, max_tokens=12
    )
    found = llm.generate(["Hello", "Once"], params, use_tqdm=False)
    body = {"use_beam_search": True, "n": 2, "best_of": 3, "length_penalty": 2.0, "max_tokens": 12}
    answer = post(server, "/v1/completions", prompt=["Hello", "Once"], **body)
    assert [reply.text for output in found for reply in output.outputs] == [
        each["text"] for each in answer["choices"]
    ]
    assert [len(output.outputs) for output in found] == [2, 2]


def test_v12_a_class_processes_requests_asynchronously() -> None:
    assert AsyncLLMServer is AsyncLLM

    async def text(llm: AsyncLLM, seed: int) -> str:
        async for output in llm.generate("Hello", SamplingParams(max_tokens=9, seed=seed)):
            last = output
        return last.outputs[0].text

    async def run() -> list[str]:
        async with AsyncLLMServer("scripted") as llm:
            return await asyncio.gather(*(text(llm, seed) for seed in range(40)))

    assert asyncio.run(run()) == [scripted_reply("Hello", seed, 9).text for seed in range(40)]


def test_f01_a_program_manages_a_model_and_interacts_with_it() -> None:
    with LLM("scripted") as llm:
        (output,) = llm.chat(MESSAGES, SamplingParams(max_tokens=4))
        assert output.finished
        assert llm.context_length > 0
        assert llm.fingerprint == "scripted-1"
    with pytest.raises(RowcastError, match="closed"):
        llm.generate("Hello")
