"""Small random rerankers in both forms, with a tokenizer of words and, for one form, a template.

`judged` and `classified` compute the expected answers with transformers alone.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from engine.tiny_models import SHAPES, VOCABULARY, save

YES, NO = 9, 21
TEMPLATE = """\
w3 {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first | \
default("w4 w5") }}
w6 {{ (messages | selectattr("role", "eq", "query") | first).content }}
w7 {{ (messages | selectattr("role", "eq", "document") | first).content }} w8"""


def save_judge(folder: Path) -> Path:
    """Write a causal model whose template shows a query and a document."""
    path = save("qwen3", folder)
    word_tokenizer().save(str(path / "tokenizer.json"))
    (path / "chat_template.jinja").write_text(TEMPLATE)
    return path


def save_classifier(name: str, folder: Path, *, labels: int = 1) -> Path:
    """Write a classifier of a shape of `tiny_models`."""
    torch.manual_seed(2)
    config = SHAPES[name]()
    config.num_labels = labels
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.08)
    path = folder / f"{name.replace(', ', '-').replace(' ', '-')}-classifier"
    model.save_pretrained(path)
    word_tokenizer().save(str(path / "tokenizer.json"))
    return path


def judged(path: Path, prompts: Sequence[Sequence[int]]) -> list[float]:
    """Return the probability of yes among yes and no after each prompt."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with torch.no_grad():
        logits = torch.stack([model(torch.tensor([each])).logits[0, -1] for each in prompts])
    found: list[float] = torch.softmax(logits[:, [NO, YES]].double(), 1)[:, 1].tolist()
    return found


def classified(path: Path, prompts: Sequence[Sequence[int]]) -> list[float]:
    """Return the number of a classifier's label for each prompt."""
    model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32)
    with torch.no_grad():
        return [float(model(torch.tensor([each])).logits[0, 0]) for each in prompts]


def word_tokenizer() -> Tokenizer:
    """Return a tokenizer of the words `w0`, `w1` and so on, `yes` and `no`; pairs get a mark."""
    words = {f"w{number}": number for number in range(VOCABULARY) if number not in {YES, NO}}
    tokenizer = Tokenizer(WordLevel({**words, "yes": YES, "no": NO}, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="w1 $A", pair="w1 $A w2 $B w2", special_tokens=[("w1", 1), ("w2", 2)]
    )
    return tokenizer
