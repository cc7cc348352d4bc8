"""A folder in Qwen3-Embedding's form, from text to vector: as transformers and its files have it.

Its tokenizer appends the end of text, whose state is the vector; its steps are the last token and
the normalization.
"""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import AutoModel

from engine.tiny_models import END, VOCABULARY, save
from rowcast.frontend.models.maker import ModelMaker
from rowcast.frontend.sessions.journal import NoJournal
from rowcast.settings import read_settings
from rowcast.text.vector_form import VectorForm

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = save("qwen3", tmp_path)
    words = {f"w{number}": number for number in range(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A w{END}", special_tokens=[(f"w{END}", END)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    steps = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")
    modules = [
        {"idx": at, "name": str(at), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, place) in enumerate(steps)
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling").mkdir()
    flags = {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    return path


def test_the_text_side_reads_the_folder(folder: Path) -> None:
    served = ModelMaker(read_settings(), NoJournal()).make(
        read_settings(model=str(folder)), lambda: "/tmp/nobody.sock"
    )
    assert served.vectors == VectorForm("last", normalizes=True)
    assert served.tokenizer.encode("w9 w8 w7") == (9, 8, 7, END)


def test_the_loaded_state_is_that_of_the_appended_end(folder: Path) -> None:
    from engine.test_embeddings import alone, engine_of, numbers  # noqa: PLC0415

    reference = AutoModel.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        states = reference(torch.tensor([[9, 8, 7, END]])).last_hidden_state[0]
    found = numbers(alone(engine_of(folder, "float32"), "last", (9, 8, 7, END)))
    assert found == pytest.approx(states[-1].tolist(), abs=2e-5, rel=2e-5)
