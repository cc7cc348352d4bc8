"""Measures a step's sampling: `python -m rowcast.sampling [--device cuda] [--repeats 30]`.

Prints the microseconds of `Sampler.choose` and its `observe`, the fastest of the repeats, for
random logits in bf16 and every method, next to a plain argmax. Prompts: 512 tokens.
`python -m rowcast.engine.kernels.token_sampler` does the same with the C token sampler.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import torch

from rowcast.sampling.sampler import Sampler
from rowcast.sampling.token_sampler import TokenSampler
from rowcast.sampling_params import SamplingParams

SHAPES = ((1, 8_000), (32, 8_000), (32, 32_000), (32, 151_936))
_PROMPT = 512
_OPEN = SamplingParams(max_tokens=1, temperature=0.8)
_USUAL = SamplingParams(max_tokens=1, top_k=10, top_p=0.9)
_PENALTIES = SamplingParams(
    max_tokens=1, top_k=10, top_p=0.9, repetition_penalty=1.1, presence_penalty=0.2
)
CASES = {
    "greedy": SamplingParams(max_tokens=1, temperature=0),
    "T 1, top_k 10, top_p 0.9": _USUAL,
    "top_k 1000": SamplingParams(max_tokens=1, top_k=1000),
    "T 0.8": _OPEN,
    "T 0.8, top_p 0.95": SamplingParams(max_tokens=1, temperature=0.8, top_p=0.95),
    "T 1, top_k 10, top_p 0.9, penalties": _PENALTIES,
    "greedy, 5 logprobs": SamplingParams(
        max_tokens=1, temperature=0, logprobs=True, top_logprobs=5
    ),
}


TokenSamplerOf = Callable[[int, int], TokenSampler | None]  # from numbers of rows and tokens


def main(token_sampler: TokenSamplerOf = lambda _rows, _size: None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m rowcast.sampling")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    device = torch.device(options.device)
    print("| microseconds a step |" + "".join(f" {rows} x {size} |" for rows, size in SHAPES))
    print("|---" * (len(SHAPES) + 1) + "|")
    for name, params in CASES.items():
        samplers = [
            Sampler(rows, size, frozenset({0}), device, token_sampler(rows, size))
            for rows, size in SHAPES
        ]
        steps = [
            _step(sampler, *shape, params, device)
            for sampler, shape in zip(samplers, SHAPES, strict=True)
        ]
        _show(name, steps, options.repeats)
    _show("(plain argmax)", [_argmax(*shape, device) for shape in SHAPES], options.repeats)


def _show(name: str, steps: Sequence[Callable[[], object]], repeats: int) -> None:
    print(
        f"| {name} |" + "".join(f" {_fastest(step, repeats):,.0f} |" for step in steps), flush=True
    )


def _fastest(step: Callable[[], object], repeats: int) -> float:
    step()
    return min(_timed(step) for _ in range(repeats)) * 1e6


def _timed(step: Callable[[], object]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def _logits(rows: int, size: int, device: torch.device) -> torch.Tensor:
    """Return distributions with about four bits of entropy, like a language model's."""
    noise = torch.randn(rows, size, generator=torch.Generator().manual_seed(size))
    return (3.0 * noise).to(device, torch.bfloat16)


def _step(
    sampler: Sampler, rows: int, size: int, params: SamplingParams, device: torch.device
) -> Callable[[], object]:
    logits = _logits(rows, size, device)
    for row in range(rows):
        sampler.seat(row, params, seed=row, choice=0)
        sampler.observe(row, range(row, row + _PROMPT), reply=False)
    return lambda: _one(sampler, logits)


def _one(sampler: Sampler, logits: torch.Tensor) -> None:
    rows = range(len(logits))
    for row, sampled in enumerate(sampler.choose(logits, rows, rows)):
        sampler.observe(row, (sampled.token,), reply=True)


def _argmax(rows: int, size: int, device: torch.device) -> Callable[[], object]:
    logits = _logits(rows, size, device)
    return lambda: logits.argmax(-1).tolist()


if __name__ == "__main__":
    main()
