"""The training of both models: the storyteller learns the corpus, the draft the storyteller.

Every step passes one batch through the storyteller, and in the run's second part through the draft
too; then Muon updates the matrices and AdamW the rest. The loss of a batch is compiled into few
loops (three times as fast as without). The state of a run is one file, so that a run can be stopped
at any time and resumed. The rate stays level until the last part, so a run can also be made longer.
Knows no command line.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import LlamaForCausalLM

from models import forward
from models.corpus.documents import ANSWER
from models.shapes import DRAFT, STORYTELLER, Shape, fresh
from models.windows import Packer, Place

CORPUS_SEED, HELD_OUT_SEED = 1, 2
TAUGHT = 0.7  # the storyteller's distribution as a share of the draft's target


@dataclass(frozen=True, slots=True)
class Recipe:
    """The hyperparameters of a run."""

    steps: int = 5000
    batch: int = 4096  # maximum tokens, including padding
    warmup: int = 100
    decay: float = 0.4  # the last part of the run, in which the rate falls to zero
    matrix_rate: float = 0.003
    other_rate: float = 2e-3
    draft_from: float = 0.6  # the part of the run after which the draft learns too

    def rate(self, step: int) -> float:
        """Return the storyteller's share of the full rate at a step."""
        left = (self.steps - step) / (self.steps * self.decay)
        return max(0.0, min(1.0, (step + 1) / self.warmup, left))

    def draft_rate(self, step: int) -> float:
        """Return the draft's share of the full rate at a step; zero until it joins."""
        since = step - int(self.steps * self.draft_from)
        return max(0.0, min(self.rate(step), (since + 1) / self.warmup))


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the tokens of one step; the draft's are 0 until it learns."""

    storyteller: float
    draft: float
    accepted: float
    answers: float


class Trainer:
    """Both models, their optimizers and the place in the corpus."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        recipe: Recipe,
        compiled: bool = True,
        shapes: tuple[Shape, Shape] = (STORYTELLER, DRAFT),
    ) -> None:
        self.recipe = recipe
        self.step = 0
        self.tokens = 0
        self._seconds_before = 0.0
        self.models = (fresh(shapes[0], 11), fresh(shapes[1], 12))
        self._packer = Packer(tokenizer, CORPUS_SEED, recipe.batch)
        self._optimizers = [_optimizers(model) for model in self.models]
        self._alone, self._together = [
            torch.compile(lesson, dynamic=True) if compiled else lesson
            for lesson in (_Lesson(self.models[:1]), _Lesson(self.models))
        ]

    def advance(self) -> Figures:
        """Run one step."""
        batch = self._packer.next()
        rates = (self.recipe.rate(self.step), self.recipe.draft_rate(self.step))
        learning = self.models if rates[1] else self.models[:1]
        lesson = self._together if rates[1] else self._alone
        total, numbers = lesson(batch.tokens[:, :-1], batch.tokens[:, 1:], batch.weights[:, 1:])
        total.backward()
        for model, optimizers, rate in zip(learning, self._optimizers, rates, strict=False):
            self._move(model, optimizers, rate)
        self.step += 1
        self.tokens += int((batch.weights > 0).sum())
        return _figures(numbers, batch.weights[:, 1:])

    @property
    def core_seconds(self) -> float:
        """Processor time of the run, including its earlier parts."""
        return self._seconds_before + time.process_time()

    def save(self, path: Path) -> None:
        """Write the run's state; an interrupted write leaves the previous state intact."""
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "tokens": self.tokens,
            "core_seconds": self.core_seconds,
            "place": asdict(self._packer.place),
            "models": [model.state_dict() for model in self.models],
            "optimizers": [[each.state_dict() for each in both] for both in self._optimizers],
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.step, self.tokens = state["step"], state["tokens"]
        self._seconds_before = state["core_seconds"]
        self._packer.seek(Place(**state["place"]))
        for model, saved in zip(self.models, state["models"], strict=True):
            model.load_state_dict(saved)
        for optimizers, saved in zip(self._optimizers, state["optimizers"], strict=True):
            for optimizer, one in zip(optimizers, saved, strict=True):
                optimizer.load_state_dict(one)

    def _move(
        self, model: LlamaForCausalLM, optimizers: Sequence[torch.optim.Optimizer], rate: float
    ) -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        levels = (self.recipe.matrix_rate, self.recipe.other_rate)
        for optimizer, level in zip(optimizers, levels, strict=True):
            optimizer.param_groups[0]["lr"] = level * rate
            optimizer.step()
            optimizer.zero_grad()


class _Lesson(nn.Module):
    """The storyteller's loss on a batch, plus the draft's if that is given too.

    It is a module because a compiler treats the shapes of a module's parameters as constant: loops
    over dynamic ones take twice the time.
    """

    def __init__(self, models: Sequence[LlamaForCausalLM]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.turns = [forward.turns(model.config) for model in models]

    def forward(
        self, tokens: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss, and the numbers that `_figures` uses."""
        logs = [
            torch.log_softmax(
                forward.logits(model.config, dict(model.named_parameters()), turned, tokens), -1
            )
            for model, turned in zip(self.models, self.turns, strict=True)
        ]
        target_logs = [each.gather(-1, targets[..., None])[..., 0] for each in logs]
        shares = weights / weights.sum()
        total = -(target_logs[0] * shares).sum()
        seen = [each.detach() for each in target_logs]
        if len(logs) == 1:
            return total, torch.stack(seen)
        wanted = logs[0].detach().exp()
        taught = TAUGHT * (wanted * logs[1]).sum(-1) + (1 - TAUGHT) * target_logs[1]
        accepted = torch.minimum(wanted, logs[1].detach().exp()).sum(-1)
        return total - (taught * shares).sum(), torch.stack([*seen, accepted])


def _figures(numbers: torch.Tensor, weights: torch.Tensor) -> Figures:
    """Return means over tokens of the loss's numbers: log-probabilities, the share accepted."""
    read = weights > 0
    answers = float(numbers[0][weights == ANSWER].exp().mean())
    if len(numbers) == 1:
        return Figures(-float(numbers[0][read].mean()), 0.0, 0.0, answers)
    storyteller, draft, accepted = [float(each[read].mean()) for each in numbers]
    return Figures(-storyteller, -draft, accepted, answers)


def _optimizers(model: LlamaForCausalLM) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Return Muon for the layers' matrices, AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "layers" not in name]
    return (
        torch.optim.Muon(matrices, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0),
    )
