"""The training of both models: the storyteller learns the corpus, the draft the storyteller.

Every step, each of a few threads takes one batch through both models (one arithmetic thread each:
more than twice as fast here as two threads sharing every product); gradients are summed, then Muon
moves the matrices and AdamW the rest. The state of a run is one file, so that a run can be ended
at any time and taken up again; the rate stays level until its last part, so that a run can also be
made longer. It knows no command line.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import LlamaForCausalLM

from models.shapes import DRAFT, STORYTELLER, fresh
from models.windows import Batch, Packer, Place

CORPUS_SEED, HELD_OUT_SEED = 1, 2
TAUGHT = 0.7  # how much of the draft's target is the storyteller's distribution


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run is made of."""

    steps: int = 3000
    threads: int = 2
    batch: int = 1280  # tokens at most, padding included, of a thread in a step
    warmup: int = 40
    decay: float = 0.35  # the last part of the run, in which the rate falls to nothing
    matrix_rate: float = 0.007
    other_rate: float = 1.5e-3
    early: int = 907  # steps at higher rates: they teach words fast, and nothing that is far apart
    early_matrix_rate: float = 0.02
    early_other_rate: float = 4e-3

    def rates(self, step: int) -> tuple[float, float]:
        """The full rates of matrices and of the rest."""
        if step < self.early:
            return self.early_matrix_rate, self.early_other_rate
        return self.matrix_rate, self.other_rate

    def rate(self, step: int) -> float:
        """The share of the full rate at a step."""
        left = (self.steps - step) / (self.steps * self.decay)
        return max(0.0, min(1.0, (step + 1) / self.warmup, left))


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over the tokens of one step."""

    storyteller: float
    draft: float
    agreement: float
    answers: float


class Trainer:
    """Both models, their optimizers and the place in the corpus."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        torch.set_num_threads(1)
        self.recipe = recipe
        self.step = 0
        self.tokens = 0
        self._seconds_before = 0.0
        self.models = (fresh(STORYTELLER, 11), fresh(DRAFT, 12))
        self._packer = Packer(tokenizer, CORPUS_SEED, recipe.batch)
        self._parameters = [list(model.parameters()) for model in self.models]
        self._optimizers = [
            optimizer for model in self.models for optimizer in _optimizers(model, recipe)
        ]
        self._threads = ThreadPoolExecutor(recipe.threads, thread_name_prefix="train")

    def advance(self) -> Losses:
        """One step."""
        batches = [self._packer.next() for _ in range(self.recipe.threads)]
        results = list(self._threads.map(self._gradients, batches))
        for models_parameters, gradients in zip(
            self._parameters, zip(*[grads for grads, _ in results], strict=True), strict=True
        ):
            _sum(models_parameters, gradients)
        self._move()
        self.step += 1
        self.tokens += sum(int((batch.weights > 0).sum()) for batch in batches)
        return _mean([losses for _, losses in results])

    @property
    def core_seconds(self) -> float:
        """Processor time of the run, with that of its earlier parts."""
        return self._seconds_before + time.process_time()

    def save(self, path: Path) -> None:
        """Writes the run's state; a run that is ended meanwhile keeps the state before."""
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "tokens": self.tokens,
            "core_seconds": self.core_seconds,
            "place": asdict(self._packer.place),
            "models": [model.state_dict() for model in self.models],
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
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
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    def close(self) -> None:
        self._threads.shutdown()

    def _gradients(self, batch: Batch) -> tuple[list[tuple[torch.Tensor, ...]], Losses]:
        """Of both models, for one batch."""
        big, small = self.models
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
            taught = big(input_ids=batch.tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
        targets, weights = batch.tokens[:, 1:].flatten(), batch.weights[:, 1:].flatten()
        kept = weights > 0
        taught, targets, weights = taught[kept].float(), targets[kept], weights[kept]
        weights = weights / weights.sum()
        loss = (functional.cross_entropy(taught, targets, reduction="none") * weights).sum()
        big_gradients = torch.autograd.grad(loss, self._parameters[0])
        with torch.no_grad():
            probable = torch.softmax(taught, -1)
            wanted = probable * TAUGHT
            wanted[torch.arange(len(targets)), targets] += 1 - TAUGHT
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
            guessed = small(input_ids=batch.tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
        logs = torch.log_softmax(guessed[kept].float(), -1)
        drafted = -((wanted * logs).sum(-1) * weights).sum()
        small_gradients = torch.autograd.grad(drafted, self._parameters[1])
        best = taught.argmax(-1)
        answers = weights > 1.5 * weights.median()
        losses = Losses(
            float(-torch.log(probable[torch.arange(len(targets)), targets] + 1e-9).mean()),
            float(-logs.detach()[torch.arange(len(targets)), targets].mean()),
            float((best == logs.argmax(-1)).float().mean()),
            float((best == targets)[answers].float().mean()),
        )
        return [big_gradients, small_gradients], losses

    def _move(self) -> None:
        share = self.recipe.rate(self.step)
        matrix, other = self.recipe.rates(self.step)
        for optimizer in self._optimizers:
            level = matrix if isinstance(optimizer, torch.optim.Muon) else other
            for group in optimizer.param_groups:
                group["lr"] = level * share
        list(self._threads.map(lambda optimizer: optimizer.step(), self._optimizers))


def _optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices (two: threads share its work), AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "layers" not in name]
    muons = [
        torch.optim.Muon(half, lr=recipe.matrix_rate, weight_decay=0.01, momentum=0.95)
        for half in (matrices[0::2], matrices[1::2])
    ]
    rest = torch.optim.AdamW(others, lr=recipe.other_rate, betas=(0.9, 0.95), weight_decay=0.0)
    return [*muons, rest]


def _sum(parameters: list[Any], gradients: Iterable[tuple[torch.Tensor, ...]]) -> None:
    """The mean of the threads' gradients, as the parameters' own."""
    several = list(gradients)
    for place, parameter in enumerate(parameters):
        parameter.grad = torch.stack([grads[place] for grads in several]).mean(0)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)


def _mean(losses: list[Losses]) -> Losses:
    rows = [asdict(one) for one in losses]
    return Losses(**{key: sum(row[key] for row in rows) / len(rows) for key in rows[0]})
