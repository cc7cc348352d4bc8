"""Whether a reply's bits depend on anything but itself: company, order, width, place, prefix.

The bits are those of logits, and of tokens with their log-probabilities. A decoder that is killed
is a part of its own: `restart`.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.engine.measuring.gpu.driving import (
    GREEDY,
    SAMPLED,
    Reply,
    finish,
    step,
    tokens_of,
)
from rowcast.engine.measuring.gpu.models import Shape, engine_of, network
from rowcast.engine.measuring.gpu.report import Report
from rowcast.engine.torch_engine import TorchEngine

ROWS, FEW_ROWS, REPLY = 16, 2, 4  # few: for an interpreter


@torch.inference_mode()
def check(
    report: Report, name: str, shape: Shape, prompt_length: int, *, trials: int, widths: int
) -> None:
    """Run the suite on a model with random weights in bf16."""
    part, context = f"purity, {name}", 128 * -(-(prompt_length + REPLY + 2) // 128)
    model = network(shape, torch.bfloat16, report.device, context)
    rows = ROWS if report.device.type == "cuda" else FEW_ROWS
    engine = engine_of(model, shape, context, rows=rows)
    engine.compile()
    report.verdict(
        part,
        "every width that the probe tried agrees",
        right=len(engine.widths.safe) == engine.width + 1,
        note=f"{engine.width} tokens at most",
    )
    prompt = tokens_of(prompt_length, shape.vocabulary)
    _replies(report, part, engine, prompt, trials)
    _prefixes(report, part, engine, prompt)
    bits, compared = _places(engine, prompt, widths)
    report.figure(part, "differing bits over widths and places", bits, f"of {compared:,} values")
    report.failed += bits > 0


def _replies(
    report: Report, part: str, engine: TorchEngine, prompt: Sequence[int], trials: int
) -> None:
    for what, params in (("greedy", GREEDY), ("sampled", SAMPLED)):
        alone = Reply(0, prompt, params, seed=3)
        alone.seat(engine)
        finish(engine, alone, REPLY)
        differing = 0
        for trial in range(trials):
            other = in_company(engine, prompt, params, random.Random(trial))  # noqa: S311
            differing += (other.drawn, other.logprobs) != (alone.drawn, alone.logprobs)
        report.verdict(
            part,
            f"{what}: company, order, pieces and rows change no bit",
            right=not differing,
            note=f"{differing} of {trials} differ",
        )


def in_company(
    engine: TorchEngine, prompt: Sequence[int], params: object, chance: random.Random
) -> Reply:
    """Compute a reply in a random row, in random pieces, beside others that come and go."""
    rows = list(range(engine.rows))
    chance.shuffle(rows)
    reply = Reply(rows.pop(), prompt, SAMPLED if params is SAMPLED else GREEDY, seed=3)
    reply.seat(engine)
    others: list[Reply] = []
    most = engine.width // engine.rows  # tokens of a piece
    while len(reply.drawn) < REPLY:
        others = [other for other in others if len(other.drawn) < 3]
        free = [row for row in rows if row not in {other.row for other in others}]
        for row in free[: chance.randrange(4)]:
            size = chance.randrange(1, len(prompt))
            tokens = tokens_of(size, engine.vocabulary, chance.randrange(999))
            others.append(Reply(row, tokens, chance.choice([GREEDY, SAMPLED])))
            others[-1].seat(engine)
        feeds = [(each, chance.randrange(1, most + 1)) for each in (reply, *others)]
        chance.shuffle(feeds)
        step(engine, feeds)
    return reply


def _prefixes(report: Report, part: str, engine: TorchEngine, prompt: Sequence[int]) -> None:
    """Compare replies over a copied prefix, and over one that was saved and read back."""
    whole, count = Reply(0, prompt), len(prompt) * 2 // 3
    whole.seat(engine)
    finish(engine, whole, REPLY)
    engine.copy(0, 1, count)
    engine.load(2, engine.save(0, count), count)
    for row, what in ((1, "copied"), (2, "saved and loaded")):
        reply = Reply(row, prompt, fed=count)
        reply.seat(engine)
        finish(engine, reply, REPLY)
        right = (reply.drawn, reply.logprobs) == (whole.drawn, whole.logprobs)
        report.verdict(part, f"a prefix that is {what} changes no bit", right=right)


def _places(engine: TorchEngine, prompt: Sequence[int], widths: int) -> tuple[int, int]:
    """Return how many values differ when a token moves through steps of many widths."""
    last = len(prompt) - 1
    reply = Reply(0, prompt)
    reply.seat(engine)
    step_of = engine.decoder.logits
    for at in range(0, last, engine.width):
        part = prompt[at : min(at + engine.width, last)]
        step_of(part, [0] * len(part), range(at, at + len(part)), [])
    wanted = step_of([prompt[last]], [0], [last], [0]).clone()
    found, compared = 0, 0
    for width in _some(engine.width, widths):
        for place in {0, width // 2, width - 1}:
            tokens, rows = [5] * width, [-1 if at % 3 else 1 for at in range(width)]
            positions = [at // 3 % last if rows[at] == 1 else 0 for at in range(width)]
            tokens[place], rows[place], positions[place] = prompt[last], 0, last
            logits = step_of(tokens, rows, positions, [place])
            found += differing(logits, wanted)
            compared += wanted.numel()
    return found, compared


def _some(widest: int, count: int) -> list[int]:
    """Return the first widths, then wider and wider ones."""
    widths = list(range(1, min(count, widest) + 1))
    while widths[-1] * 2 <= widest:
        widths.append(widths[-1] * 2 - 1)
    return [*widths, widest]


def differing(left: Tensor, right: Tensor) -> int:
    """Return how many values differ in any bit."""
    whole = {4: torch.int32, 2: torch.int16}[left.itemsize]
    return int((left.contiguous().view(whole) != right.contiguous().view(whole)).sum())
