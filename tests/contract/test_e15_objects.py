"""F-03, F-11, E-13 to E-16: programs for FlexFlow and EasyDeL run with another import alone.

The programs below are typed as for the original; only the first line names Rowcast.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from engine import rule
from processes import ROOT, free_port, until
from scripted_replies import scripted_reply

pytestmark = pytest.mark.slow

FLEXFLOW = """
import rowcast.compatible.flexflow as ff

ff.init(num_gpus=1, memory_per_gpu=14000, zero_copy_memory_per_node=30000)
llm = ff.LLM("scripted")
ssms = [ff.SSM("scripted")]
generation_config = ff.GenerationConfig(do_sample=False, temperature=0.9, topp=0.8, topk=1)
for ssm in ssms:
    ssm.compile(generation_config)
llm.compile(generation_config, max_requests_per_batch=16, max_seq_length=48, ssms=ssms)
llm.start_server()
prompts = ["Here are some travel tips for Tokyo:", "Three tips"]
for result in llm.generate(prompts, seed=3):
    print(repr(result.output_text.decode("utf-8")), len(result.output_tokens))
print(len(llm.generate("Three tips", 20)[0].output_tokens))

import requests  # the same server as HTTP, which the original puts FastAPI in front for
print(requests.post(llm.url + "/generate/", json={"prompt": "Hi"}).json()["prompt"])
try:
    llm.generate("A prompt that is longer than all that was compiled for this model")
except Exception as error:
    print(error)
llm.stop_server()
"""

EASYDEL = """
import rowcast.compatible.easydel as ed

inference = ed.vInference(
    model=ed.AutoEasyDeLModelForCausalLM.from_pretrained("scripted"),
    processor_class=None,
    generation_config=ed.vInferenceConfig(
        max_new_tokens=24,
        streaming_chunks=8,
        num_return_sequences=2,
        sampling_params=ed.SamplingParams(temperature=0.8, top_p=0.95, top_k=50),
    ),
    seed=3,
    inference_name="LLaMA",
)
inference.precompile(ed.vInferencePreCompileConfig(batch_size=1, prefill_length=64))
"""

GENERATE = """
ids = {"input_ids": [[0, 0, *b"Hi"], [*b"Four"]], "attention_mask": [[0, 0, 1, 1], [1] * 4]}
for response in inference.generate(**ids):
    print(response.sequences.shape[1])
print(response.sequences[..., response.padded_length :].tolist())
print(response.generated_tokens, response.tokens_per_second > 0)
"""

FIRE_ONE = """
ed.vInferenceApiServer(inference).fire(port={port})
"""

FIRE_TWO = """
inference2 = ed.vInference(model="scripted", inference_name="model2")
server = ed.vInferenceApiServer({{"model1": inference, "model2": inference2}}, max_workers=4)
server.fire(port={port})
"""

PROMPTS = ("Here are some travel tips for Tokyo:", "Three tips")


@contextmanager
def program(text: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program's text, and end it if it runs on."""
    path = folder / "program.py"
    path.write_text(text)
    with subprocess.Popen(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api"), "PYTHONUNBUFFERED": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def output_of(text: str, folder: Path) -> list[str]:
    """Return the lines that a program prints; check that it ends well."""
    with program(text, folder) as process:
        shown, _ = process.communicate(timeout=100)
    assert process.returncode == 0, shown
    return shown.splitlines()


def test_f03_f11_a_program_for_flexflow_compiles_starts_generates_and_stops(tmp_path: Path) -> None:
    *results, short, posted, refused = output_of(FLEXFLOW, tmp_path)
    for prompt, shown in zip(PROMPTS, results, strict=True):
        reply = scripted_reply(prompt, 3, 48 - len(prompt))
        assert shown == f"{prompt + reply.text!r} {len(prompt) + len(reply.tokens)}"
    assert len("Three tips") < int(short) <= 20
    assert posted == "Hi"
    assert "prompt and reply may have 48 together; raise max_length" in refused


def test_e13_e14_a_program_for_easydel_generates_token_ids(tmp_path: Path) -> None:
    *widths, replies, counted = output_of(EASYDEL + GENERATE, tmp_path)
    drawn = [
        rule.reply(prompt, 3, 24, choice=choice)[0]
        for prompt in (b"Hi", b"Four")
        for choice in range(2)
    ]
    longest = max(map(len, drawn))
    assert replies == str([[*each, *[0] * (longest - len(each))] for each in drawn])
    assert counted == f"{sum(map(len, drawn))} True"
    assert [int(width) for width in widths] == [
        4 + min(shown, longest) for shown in range(8, longest + 8, 8)
    ]


@pytest.mark.parametrize(
    ("fire", "names"), [(FIRE_ONE, ["LLaMA"]), (FIRE_TWO, ["model1", "model2"])]
)
def test_e15_e16_a_program_for_easydel_serves_one_model_or_several(
    fire: str, names: list[str], tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with program(EASYDEL + fire.format(port=port), tmp_path) as process:
        until(lambda: _is_ready(url), "it is ready", 60)
        listed = requests.get(f"{url}/v1/models", timeout=20).json()["data"]
        assert [model["id"] for model in listed] == names
        messages = [{"role": "user", "content": "Hello"}]
        body = {"model": names[0], "messages": messages, "seed": 3}
        answer = requests.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
        assert answer["model"] == names[0]
        assert [choice["index"] for choice in answer["choices"]] == [0, 1], "num_return_sequences"
        assert answer["usage"]["completion_tokens"] <= 48, "max_new_tokens"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readiness", timeout=5).ok
    except requests.RequestException:
        return False
