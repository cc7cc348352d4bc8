"""A whole workload: streams of one prompt and one reply each, beside transformers' batching.

All streams begin at once. Ours go through the engine's steps, as a backend feeds them: the prompts
in the widest steps, then a token of each row. transformers computes the same prompts and as many
tokens by its continuous batching.
"""

import time
from typing import Any

import torch
from transformers import GenerationConfig

from rowcast.engine.measuring.gpu.driving import GREEDY, Reply, step, synchronise, tokens_of
from rowcast.engine.measuring.gpu.models import Shape, engine_of, network
from rowcast.engine.measuring.gpu.report import Report
from rowcast.engine.torch_engine import TorchEngine

PLAIN = type(GREEDY)(max_tokens=1, temperature=0.0)


def check(
    report: Report, name: str, shape: Shape, *, prompt: int, reply: int, streams: int
) -> None:
    """Measure both, transformers first: our engine takes over the model's weights."""
    part = f"workload, {name}"
    context = 128 * -(-(prompt + reply + 1) // 128)
    prompts = [tokens_of(prompt, shape.vocabulary, seed) for seed in range(streams)]
    what = f"{prompt}/{reply}/{streams} streams"
    model = network(shape, torch.bfloat16, report.device, context)
    theirs = 0.0
    if report.device.type == "cuda":
        try:
            theirs = by_transformers(model, prompts, reply, report.device)
        except Exception as error:  # noqa: BLE001  # its interface differs between versions
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            report.note(part, "transformers' continuous batching failed", text)
        else:
            report.figure(part, f"{what}, transformers", streams * reply / theirs, "token/s")
    engine = engine_of(model, shape, context, rows=streams)
    engine.compile()
    by_engine(engine, prompts, 2, report.device)
    ours = by_engine(engine, prompts, reply, report.device)
    note = f"{theirs / ours:.2f} times transformers'" if theirs else ""
    report.figure(part, f"{what}, ours", streams * reply / ours, "token/s", note)


@torch.inference_mode()
def by_engine(
    engine: TorchEngine, prompts: list[list[int]], reply: int, device: torch.device
) -> float:
    """Return the seconds until all replies are complete."""
    replies = [Reply(row, prompt, PLAIN) for row, prompt in enumerate(prompts)]
    synchronise(device)
    start = time.perf_counter()
    for each in replies:
        each.seat(engine)
    waiting = list(replies)
    while waiting:
        feeds: list[tuple[Reply, int]] = []
        room = engine.width
        while waiting and room >= len(waiting[0].prompt):
            room -= len(waiting[0].prompt)
            feeds.append((waiting.pop(0), engine.width))
        if not feeds:
            first = waiting[0]
            step(engine, [(first, engine.width)])
            if first.drawn:
                waiting.pop(0)
            continue
        step(engine, feeds)
    for _ in range(reply - 1):
        step(engine, [(each, 1) for each in replies])
    synchronise(device)
    return time.perf_counter() - start


def by_transformers(
    model: Any, prompts: list[list[int]], reply: int, device: torch.device
) -> float:
    """Return the seconds of transformers' continuous batching."""
    vocabulary = model.config.vocab_size
    config = GenerationConfig(
        max_new_tokens=reply, do_sample=False, eos_token_id=vocabulary, pad_token_id=0
    )
    short = GenerationConfig(
        max_new_tokens=2, do_sample=False, eos_token_id=vocabulary, pad_token_id=0
    )
    model.generate_batch(inputs=prompts, generation_config=short)
    synchronise(device)
    start = time.perf_counter()
    outputs = model.generate_batch(inputs=prompts, generation_config=config)
    synchronise(device)
    spent = time.perf_counter() - start
    counts = {len(each.generated_tokens) for each in outputs.values()}
    if len(outputs) != len(prompts) or counts != {reply}:
        raise RuntimeError(f"{len(outputs)} replies of {sorted(counts)} tokens")
    return spent
