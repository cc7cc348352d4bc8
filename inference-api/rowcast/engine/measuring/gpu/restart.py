"""A decoder that is killed with SIGKILL: the time to the reply's next token, and its bits.

    python -m rowcast.engine.measuring.gpu.restart DEVICE SHAPE PROMPT REPLY KILLS

As in the server, a process that has imported everything, and has not touched the GPU, forks the
decoders. Each gets the prompt and the tokens that were delivered, feeds them, and goes on. Weights
are random and made on the device: reading files would come on top. Writes one line of JSON.
"""

import json
import os
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Iterator

import torch

from rowcast.engine.kernels.gpu.available import kernels_of
from rowcast.engine.measuring.gpu.driving import SAMPLED, Reply, step, tokens_of
from rowcast.engine.measuring.gpu.models import SHAPES, engine_of, network

SECONDS = 600  # until a decoder that says nothing is an error
Delivered = list[tuple[int, str]]


Job = tuple[torch.device, str, list[int], int]


def main() -> None:
    """Compute a reply without and with kills; write what was found."""
    name, shape, prompt, reply, kills = sys.argv[1:]
    device, count = torch.device(name), int(reply)
    kernels_of(device)  # imports Triton before the forks
    tokens = tokens_of(int(prompt), SHAPES[shape].vocabulary)
    job = (device, shape, tokens, count)
    whole = list(_tokens(job, [], count))
    delivered: Delivered = []
    times = []
    for kill in range(int(kills) + 1):
        start = time.perf_counter()
        until = count if kill == int(kills) else len(delivered) + max(1, count // (int(kills) + 1))
        for at, each in enumerate(_tokens(job, delivered, until - len(delivered))):
            if at == 0 and kill:
                times.append(time.perf_counter() - start)
            delivered.append(each)
    found = {
        "seconds": statistics.median(times),
        "slowest": max(times),
        "kills": len(times),
        "same": delivered == whole,
    }
    print(json.dumps(found), flush=True)


def _tokens(job: Job, delivered: Delivered, count: int) -> Iterator[tuple[int, str]]:
    """Fork a decoder, yield its next tokens, and kill it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            _decode(job, delivered, writing)
        except Exception:  # noqa: BLE001  # a fork must not go on as its parent
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    signal.alarm(SECONDS)
    try:
        with os.fdopen(reading) as lines:
            for _ in range(count):
                token, logprob = json.loads(lines.readline())
                yield token, logprob
    finally:
        signal.alarm(0)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@torch.inference_mode()
def _decode(job: Job, delivered: Delivered, to: int) -> None:
    """Write tokens, one a line, until killed."""
    device, name, prompt, count = job
    shape = SHAPES[name]
    context = 128 * -(-(len(prompt) + count + 1) // 128)
    model = network(shape, torch.bfloat16, device, context)
    engine = engine_of(model, shape, context, rows=8)
    engine.compile()
    reply = Reply(0, prompt, SAMPLED, seed=7)
    reply.drawn += [token for token, _ in delivered]
    reply.seat(engine)
    while True:
        before = len(reply.drawn)
        if before < count:
            step(engine, [(reply, engine.width)])
        else:
            time.sleep(1)  # it is about to be killed
        if len(reply.drawn) > before:
            line = json.dumps([reply.drawn[-1], reply.logprobs[-1]])
            os.write(to, line.encode() + b"\n")


if __name__ == "__main__":
    main()
