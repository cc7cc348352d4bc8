"""lm-evaluation-harness: scores and generations of a task made here, by local-completions."""

import json
import os
import subprocess
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

QUESTIONS = [
    {"question": f"{a} + {b} =", "choices": [f" {a + b}", f" {a + b + 1}"], "answer": 0}
    for a, b in ((1, 2), (3, 4), (5, 6), (7, 8))
]
TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: questions.jsonl}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
{rest}
metadata: {{version: 1.0}}
"""
CHOICES = """\
doc_to_target: answer
doc_to_choice: choices
metric_list: [{metric: acc}]"""
SPEECH = """\
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["."], max_gen_toks: 16, do_sample: false}
metric_list: [{metric: exact_match}]"""


def characters() -> dict[str, int]:
    """Return the scripted model's first tokens: each byte is a token, written as a character."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    names = {byte: chr(byte) for byte in kept}
    names |= {byte: chr(256 + at) for at, byte in enumerate(moved)}
    return {names[byte]: byte for byte in range(256)} | {"<end>": 256}


def write_tokenizer() -> None:
    tokenizer = Tokenizer(BPE(characters(), []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.save_pretrained("tokenizer")


def main() -> None:
    write_tokenizer()
    lines = "".join(json.dumps(question) + "\n" for question in QUESTIONS)
    Path("questions.jsonl").write_text(lines)
    tasks = {"sums": ("multiple_choice", CHOICES), "speech": ("generate_until", SPEECH)}
    for name, (kind, rest) in tasks.items():
        Path(f"{name}.yaml").write_text(TASK.format(name=name, kind=kind, rest=rest))
    url = os.environ["ROWCAST_URL"] + "/v1/completions"
    arguments = f"model=scripted,base_url={url},tokenizer=tokenizer,num_concurrent=2,max_retries=1"
    command = ["lm_eval", "--model", "local-completions", "--model_args", arguments]
    command += ["--tasks", "sums,speech", "--include_path", ".", "--output_path", "out"]
    env = os.environ | {"OPENAI_API_KEY": os.environ["ROWCAST_TOKEN"]}
    subprocess.run(command, env=env, check=True)
    (found,) = Path("out").rglob("results_*.json")
    results = json.loads(found.read_text())["results"]
    assert {"sums", "speech"} <= set(results), results


if __name__ == "__main__":
    main()
