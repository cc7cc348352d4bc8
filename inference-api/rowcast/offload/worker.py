"""The inside of a helper process: takes tasks from its socket until the other end closes.

The kernel enforces the limits, so that they hold inside native code: processor time by an interval
timer whose signal ends the process, memory by RLIMIT_AS, the stack by RLIMIT_STACK. A helper whose
memory has grown reports it and ends, which returns the memory to the system. The stack is as large
as that of the backend's compiling threads: what passes here does not overflow there.
"""

import os
import pickle
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from rowcast import grammar_limits
from rowcast.errors import RequestError
from rowcast.offload.frames import LENGTH, Answer, Refusal, framed
from rowcast.offload.limits import Limits
from rowcast.offload.tasks import TASKS, Tools

GROWTH_BYTES = 32 << 20  # by which a helper's memory may grow
_PAGE = resource.getpagesize()


def serve(link: socket.socket, tools: Tools, limits: Limits) -> None:
    """Run tasks one after another. The first frame sent is this process's id."""
    apply(limits)
    began = _resident()
    link.sendall(framed(msgspec.msgpack.encode(os.getpid())))
    while (body := _receive(link)) is not None:
        signal.setitimer(signal.ITIMER_PROF, limits.seconds)
        answer = _answer(body, tools)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answer.retires = _resident() - began > GROWTH_BYTES
        link.sendall(framed(msgspec.msgpack.encode(answer)))
        if answer.retires:
            return


def _answer(body: bytes, tools: Tools) -> Answer:
    name, arguments = pickle.loads(body)  # noqa: S301  # the frontend's own, see frames
    try:
        return Answer("done", _raw(TASKS[name](tools, *arguments)))
    except RequestError as refusal:
        return Answer("refused", _raw(Refusal.of(refusal)))
    except MemoryError:
        os._exit(1)  # like any other way of exceeding a limit
    except Exception as error:  # noqa: BLE001  # a bug must be reported, not lost with the process
        return Answer("failed", _raw(f"{name}: {type(error).__name__}: {error}"))


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def _receive(link: socket.socket) -> bytes | None:
    """Return the next frame's body; None if the other end has closed."""
    head = _exactly(link, LENGTH.size)
    return head and _exactly(link, LENGTH.unpack(head)[0])


def _exactly(link: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        part = link.recv(min(count - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


def apply(limits: Limits) -> None:
    """Limit this process's memory and stack."""
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + limits.memory,) * 2)
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (grammar_limits.STACK_BYTES, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def memory_limited(limits: Limits) -> Iterator[None]:
    """Limit this process's memory within the block."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + limits.memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
