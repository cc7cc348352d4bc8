"""The bundled models: the files match the model cards, they load, and reach their scores."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models import samples, shapes
from models.card import FILES
from models.evaluate import HERE, Pair
from models.exams import FORMS, KINDS, exams, is_right
from models.training import HELD_OUT_SEED

FOLDERS = (HERE / "storyteller", HERE / "draft")
MOST_BYTES = 24_000_000
ASKED = 30  # per kind, in both forms
ENOUGH = {"stories": 0.8, "notes": 0.5}  # guessing among the names of a text gives 0.2


@cache
def pair() -> Pair:
    return Pair(FOLDERS)


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_they_are_small() -> None:
    sizes = [each.stat().st_size for folder in FOLDERS for each in folder.iterdir()]
    assert sum(sizes) <= MOST_BYTES
    assert 0.08 < shapes.cost(FOLDERS[1]) / shapes.cost(FOLDERS[0]) < 0.12


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_files_are_those_of_the_card(folder: Path) -> None:
    told = dict(re.findall(r"\| `(\S+)` \| `([0-9a-f]{64})` \|", card(folder)))
    assert told == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_they_load_as_any_model_does(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.config.architectures == ["LlamaForCausalLM"]
    assert model.config.max_position_embeddings >= 1024
    assert model.generation_config.eos_token_id == [shapes.END_OF_TEXT, shapes.END]


def test_both_share_the_tokenizer() -> None:
    one, other = [(folder / "tokenizer.json").read_bytes() for folder in FOLDERS]
    assert one == other


@pytest.mark.parametrize("text", ["Ünïcödé 漢字 🦔", "\x00\x7f\ttabs\r\n", "a" * 300, " 12 345"])
def test_the_tokenizer_spells_anything(text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS[0])
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_chat_template_writes_turns() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS[0])
    said = [{"role": "user", "content": "Hello!"}]
    assert tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True) == (
        "<|user|>Hello!<|end|><|assistant|>"
    )


@pytest.mark.slow
def test_greedy_replies_have_not_changed() -> None:
    [told] = re.findall(r"```json\n(.*?)```", card(FOLDERS[0]), re.DOTALL)
    assert samples.greedy(pair()) == json.loads(told)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_questions_about_a_text_are_answered_rightly(kind: str) -> None:
    asked = [exam for form in FORMS for exam in exams(HELD_OUT_SEED, kind, form, ASKED // 2)]
    replies = pair().texts([exam.prompt for exam in asked], 32)
    assert sum(map(is_right, asked, replies)) >= ENOUGH[kind] * len(asked)
