"""Steps of one model in bf16, as shares of what the device can do at most.

decode     rows at one position: weights and cache, over the measured bandwidth
prefill    prompts: the operations of products and attention, over the measured peak
int8       the products of a step with weights in 8 bits: their bytes over the bandwidth
"""

from dataclasses import dataclass

import torch

from rowcast.engine.engine import Feed, Seating
from rowcast.engine.kernels.gpu import linear_int8
from rowcast.engine.kernels.gpu.linear import linear
from rowcast.engine.measuring.gpu.clock import seconds
from rowcast.engine.measuring.gpu.driving import GREEDY, synchronise, tokens_of
from rowcast.engine.measuring.gpu.models import Shape, engine_of, network
from rowcast.engine.measuring.gpu.report import Report
from rowcast.engine.torch_engine import TorchEngine

ITEM = 2  # bytes of a value in bf16


@dataclass(frozen=True, slots=True)
class Device:
    """What was measured of a device."""

    bandwidth: float
    peak: float


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured."""

    rows: int = 32
    position: int = 512
    prompts: int = 8
    prompt: int = 1024


@torch.inference_mode()
def check(report: Report, name: str, shape: Shape, device: Device, work: Work) -> None:
    """Measure steps of one model."""
    part = f"speed, {name}"
    context = 128 * -(-max(work.position, work.prompt) // 128) + 128
    model = network(shape, torch.bfloat16, report.device, context)
    engine = engine_of(model, shape, context, rows=work.rows)
    engine.compile()
    for rows in dict.fromkeys((work.rows, 1)):
        time = decode_seconds(engine, rows, work.position, report.device)
        read = ITEM * (shape.products + rows * work.position * shape.token_values)
        floor = read / device.bandwidth
        note = f"{time * 1e3:.2f} ms a step, floor {floor * 1e3:.2f} ms, {rows / time:,.0f} token/s"
        what = f"decode of {rows} rows at {work.position}, of its memory floor"
        report.figure(part, what, 100 * floor / time, "%", note)
    time = prefill_seconds(engine, work, report.device)
    tokens = work.prompts * work.prompt
    attended = work.prompts * work.prompt**2 / 2
    operations: float = 2 * tokens * (shape.products - shape.vocabulary * shape.hidden)
    operations += 4 * attended * shape.layers * shape.heads * shape.head
    report.figure(
        part,
        f"prefill of {work.prompts} x {work.prompt:,}, of the matrix peak",
        100 * operations / time / device.peak,
        "%",
        f"{time * 1e3:.1f} ms, {tokens / time:,.0f} token/s",
    )


def decode_seconds(engine: TorchEngine, rows: int, position: int, device: torch.device) -> float:
    """Return the time of a step of rows that hold so many tokens, the sampler included."""
    for row in range(rows):
        engine.seat(row, Seating(GREEDY, 0, 0, position))
    feeds = [Feed(row, position - 1, [row + 3], draws=True) for row in range(rows)]
    return seconds(lambda: engine.step(feeds), device)


def prefill_seconds(engine: TorchEngine, work: Work, device: torch.device) -> float:
    """Return the time of prompts that fill the widest steps one after the other."""
    prompt = tokens_of(work.prompt, engine.vocabulary)
    for row in range(work.prompts):
        engine.seat(row, Seating(GREEDY, 0, 0, work.prompt))

    def run() -> None:
        for row in range(work.prompts):
            for at in range(0, work.prompt, engine.width):
                piece = prompt[at : at + engine.width]
                engine.step([Feed(row, at, piece, draws=at + len(piece) == work.prompt)])
        synchronise(device)

    return seconds(run, device)


@torch.inference_mode()
def check_int8(report: Report, name: str, shape: Shape, device: Device, tokens: int) -> None:
    """Measure the largest product of a layer with weights in 8 bits, beside bf16."""
    part, outputs, inputs = f"int8, {name}", 2 * shape.inner, shape.hidden
    weights = [
        torch.randn(outputs, inputs, device=report.device).bfloat16() for _ in range(shape.layers)
    ]
    packed = [linear_int8.pack(each) for each in weights]
    states = torch.randn(tokens, inputs, device=report.device).bfloat16()
    half = seconds(lambda: [linear(states, each) for each in weights], report.device)
    whole = seconds(lambda: [linear_int8.linear(states, each) for each in packed], report.device)
    floor = shape.layers * outputs * inputs / device.bandwidth
    what = f"gate and up for {tokens} tokens, of their memory floor"
    report.figure(part, what, 100 * floor / whole, "%", f"{half / whole:.2f} times as fast as bf16")
