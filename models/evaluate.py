"""`python -m models.evaluate`: how good the two models are, on texts outside all training.

Measures perplexity, the share of questions answered correctly, and how often the draft chooses the
storyteller's token, greedy and sampled. Out: `Figures`, printed as JSON. The card uses them.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel

from models import vocabulary
from models.corpus.documents import documents
from models.exams import FORMS, KINDS, exams, is_right
from models.training import HELD_OUT_SEED
from models.windows import encoded

HERE = Path(__file__).resolve().parent
TEMPERATURE = 0.8
BATCH = 24
OPENINGS = (
    "Once upon a time",
    "Long ago",
    "This is the story of",
    ("<|user|>Tell me a story.<|end|><|assistant|>"),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """The measured quantities."""

    perplexity: float
    draft_perplexity: float
    characters_a_token: float
    right: dict[str, float]
    agreement_greedy: float
    agreement_sampled: float
    agreement_best: float


class Pair:
    """Both models with their tokenizer, for measuring."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.tokenizer = vocabulary.load(folders[0])
        self.models: list[PreTrainedModel] = [
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            for folder in folders
        ]

    def replies(self, prompts: Sequence[str], most: int, **how: Any) -> list[list[int]]:
        """Return the storyteller's replies as tokens; greedy by default."""
        found: list[list[int]] = []
        for start in range(0, len(prompts), BATCH):
            cut = self.tokenizer.encode_batch(list(prompts[start : start + BATCH]))
            tokens, mask = _left_padded([each.ids for each in cut])
            how = {"do_sample": False, "top_k": None, "top_p": None, "temperature": None} | how
            made = self.models[0].generate(
                tokens, attention_mask=mask, max_new_tokens=most, use_cache=True, **how
            )
            found.extend([_ended(row) for row in made[:, tokens.shape[1] :].tolist()])
        return found

    def texts(self, prompts: Sequence[str], most: int, **how: Any) -> list[str]:
        return self.tokenizer.decode_batch(self.replies(prompts, most, **how))


def figures(pair: Pair, texts: int, questions: int) -> Figures:
    """Return all figures, from this many held-out texts and questions of each kind."""
    torch.manual_seed(5)
    with torch.inference_mode():
        big, small, characters = _perplexities(pair, texts)
        shares = {
            f"{kind}, {form}": _share_right(pair, kind, form, questions)
            for kind in KINDS
            for form in FORMS
        }
        agreed = _agreement(pair, texts // 4)
    return Figures(big, small, characters, shares, *agreed)


def _perplexities(pair: Pair, count: int) -> tuple[float, float, float]:
    docs = list(islice(documents(HELD_OUT_SEED), count))
    losses = [0.0, 0.0]
    tokens = 0
    for doc in encoded(pair.tokenizer, docs):
        row = torch.tensor([doc.tokens])
        tokens += row.shape[1] - 1
        for at, model in enumerate(pair.models):
            logits = model(input_ids=row, use_cache=False).logits[0, :-1]
            losses[at] += float(functional.cross_entropy(logits, row[0, 1:], reduction="sum"))
    characters = sum(len(doc.text) for doc in docs)
    return math.exp(losses[0] / tokens), math.exp(losses[1] / tokens), characters / tokens


def _share_right(pair: Pair, kind: str, form: str, count: int) -> float:
    drawn = exams(HELD_OUT_SEED, kind, form, count)
    replies = pair.texts([exam.prompt for exam in drawn], 32)
    return sum(map(is_right, drawn, replies)) / len(drawn)


def _agreement(pair: Pair, count: int) -> tuple[float, float, float]:
    """Return agreement on greedy replies; on sampled ones, by draw and by the draft's best."""
    prompts = [OPENINGS[at % len(OPENINGS)] for at in range(count)]
    prompts += [exam.prompt for exam in exams(HELD_OUT_SEED, "stories", "chat", count)]
    greedy = _agreed(pair, prompts, pair.replies(prompts, 120), 0.0)
    sampled = pair.replies(prompts, 120, do_sample=True, temperature=TEMPERATURE)
    drawn = _agreed(pair, prompts, sampled, TEMPERATURE)
    return greedy[0], drawn[0], drawn[1]


def _agreed(
    pair: Pair, prompts: Sequence[str], replies: Sequence[list[int]], temperature: float
) -> tuple[float, float]:
    """Return the shares of the replies' tokens on which both choose the same."""
    same = best = total = 0
    for prompt, reply in zip(prompts, replies, strict=True):
        head = pair.tokenizer.encode(prompt).ids
        row = torch.tensor([head + reply])
        logits = [
            model(input_ids=row, use_cache=False).logits[0, len(head) - 1 : -1]
            for model in pair.models
        ]
        noise = torch.rand(len(reply), 1)
        chosen = [_choice(each, temperature, noise) for each in logits]
        same += int((chosen[0] == chosen[1]).sum())
        best += int((chosen[0] == logits[1].argmax(-1)).sum())
        total += len(reply)
    return same / total, best / total


def _choice(logits: Tensor, temperature: float, noise: Tensor) -> Tensor:
    """Return the token at which cumulative probability reaches the noise, or the likeliest."""
    if not temperature:
        return logits.argmax(-1)
    probable, order = torch.softmax(logits / temperature, -1).sort(descending=True)
    at = (probable.cumsum(-1) < noise).sum(-1, keepdim=True).clamp(max=logits.shape[-1] - 1)
    return order.gather(-1, at)[:, 0]


def _left_padded(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    length = max(map(len, rows))
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for at, row in enumerate(rows):
        tokens[at, length - len(row) :] = torch.tensor(row)
        mask[at, length - len(row) :] = 1
    return tokens, mask


def _ended(row: list[int]) -> list[int]:
    """Return the row up to and including the first end."""
    ends = [at for at, token in enumerate(row) if token in (0, 4)]
    return row[: ends[0] + 1] if ends else row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__)
    folders = (HERE / "storyteller", HERE / "draft")
    parser.add_argument("--folders", type=Path, nargs=2, default=folders)
    parser.add_argument("--texts", type=int, default=200, help="held-out texts")
    parser.add_argument("--questions", type=int, default=250, help="of each kind and form")
    options = parser.parse_args()
    found = figures(Pair(options.folders), options.texts, options.questions)
    print(json.dumps(asdict(found), indent=2))


if __name__ == "__main__":
    main()
