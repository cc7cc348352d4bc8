"""AsyncLLM: the same model for programs with an event loop, one reply at a time.

    async with AsyncLLM("storyteller") as llm:
        async for output in llm.generate("Once upon a time", SamplingParams(), "first"):
            print(output.outputs[0].text)  # all of it so far

Any number of requests run side by side. The loop is never blocked: the demultiplexer's thread wakes
it, and what takes long is done in a thread.
"""

import asyncio
import contextlib
import threading
import uuid
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self

from rowcast.errors import InvalidField, RowcastError
from rowcast.offline.generation.chat_request import ChatOptions, Chats, Messages
from rowcast.offline.generation.in_flight import Flight, Flow
from rowcast.offline.generation.inputs import PromptInput, inputs_of, is_one
from rowcast.offline.generation.prepared import Prepared, Requests, Seeds
from rowcast.offline.generation.returned import output_of
from rowcast.offline.outputs import RequestOutput
from rowcast.offline.params import SamplingParams
from rowcast.offline.runtime import Runtime

TURN_SECONDS = 0.005  # that a turn may block the loop


class AsyncLLM:
    """A model in this program, for its event loop."""

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        log: str | PathLike[str] | None = None,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        """Begin to load a model, as `LLM` does; the first request waits until it is ready."""
        self._seeds = Seeds(seed)
        self._runtime = Runtime(model, settings, log)
        self._closer = weakref.finalize(self, self._runtime.close)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopFlow]
        self._loops = weakref.WeakKeyDictionary()
        self._runtime.begin()

    async def ready(self) -> None:
        """Return once the model is loaded. Raises RowcastError if it cannot be."""
        if not self._runtime.ready:
            await asyncio.to_thread(self._runtime.wait)

    async def generate(
        self,
        prompt: PromptInput,
        sampling_params: SamplingParams | None = None,
        request_id: str | None = None,
    ) -> AsyncIterator[RequestOutput]:
        """Yield the output so far, whenever there is more; the last one is `finished`.

        Leaving the iterator ends the request. Raises RowcastError.
        """
        if not is_one(prompt):
            raise InvalidField("prompt", "is a list; an AsyncLLM takes one prompt per request")
        (given,) = inputs_of(prompt)
        await self.ready()
        prepare = Requests(self._runtime.served, self._seeds).prepared
        request = await asyncio.to_thread(prepare, given, sampling_params)
        async for output in self._outputs(request, request_id):
            yield output

    async def chat(
        self,
        messages: Messages,
        sampling_params: SamplingParams | None = None,
        request_id: str | None = None,
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        tool_choice: str | dict[str, Any] | None = None,
    ) -> AsyncIterator[RequestOutput]:
        """Yield the output of a conversation so far, as `generate` does."""
        await self.ready()
        options = ChatOptions(tools, tool_choice)
        prepare = Chats(self._runtime.served, options, self._seeds).prepared
        request = await asyncio.to_thread(prepare, "messages", messages, sampling_params)
        async for output in self._outputs(request, request_id):
            yield output

    async def abort(self, request_id: str | Iterable[str]) -> None:
        """End requests; the last output of each has the finish reason `abort`."""
        names = [request_id] if isinstance(request_id, str) else list(request_id)
        for name in names:
            self._flow().abort(name)

    async def aclose(self) -> None:
        """End everything, without blocking the loop."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End the decoder's process, and all that belongs to it."""
        self._closer()

    shutdown = close  # vLLM's name

    async def _outputs(self, request: Prepared, name: str | None) -> AsyncIterator[RequestOutput]:
        flow, tokenizer = self._flow(), self._runtime.served.tokenizer
        flight = AsyncFlight(name or uuid.uuid4().hex, request)
        flow.add(flight)
        try:
            output = None
            while output is None or not output.finished:
                await flight.news.wait()
                flight.news.clear()
                output = output_of(flight, tokenizer)
                yield output
        finally:
            flow.end(flight)

    def _flow(self) -> "LoopFlow":
        """Return the requests of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = LoopFlow(self._runtime, loop)
        return self._loops[loop]

    async def __aenter__(self) -> Self:
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


AsyncLLMServer = AsyncLLM  # CacheFlow's name


class AsyncFlight(Flight):
    """A request that a task of the loop waits for."""

    def __init__(self, name: str, request: Prepared) -> None:
        super().__init__(name, request)
        self.news = asyncio.Event()


class Wake(threading.Event):
    """Wakes an event loop when it is set, once until it is cleared."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        super().__init__()
        self._loop = loop
        self._wake = wake

    def set(self) -> None:
        """Wake the loop; do nothing if it is closed."""
        if not self.is_set():
            super().set()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)


class LoopFlow:
    """The requests of one event loop. Used by its thread alone."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived = Wake(loop, self._turn)
        self._flow = Flow(runtime, self._arrived, whole=False)
        self._flights: dict[str, AsyncFlight] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, flight: AsyncFlight) -> None:
        """Begin a request. Raises InvalidField if there is one of its name."""
        if flight.name in self._flights:
            raise InvalidField("request_id", f"{flight.name!r} is in use; give each its own")
        self._flights[flight.name] = flight
        self._flow.add(flight)
        self._arrived.set()

    def abort(self, name: str) -> None:
        """End the request of this name, if there is one."""
        if (flight := self._flights.get(name)) is not None:
            self.end(flight)

    def end(self, flight: AsyncFlight) -> None:
        """End a request, if it has not ended. Another one may have its name by now."""
        if self._flights.get(flight.name) is flight:
            del self._flights[flight.name]
            self._flow.abort(flight)
            flight.news.set()

    def _turn(self) -> None:
        """Take a turn, wake the tasks that have news, and see to the next turn."""
        self._arrived.clear()
        try:
            news = self._flow.turn(TURN_SECONDS)
        except RowcastError as ended:
            news = [*self._flights.values()]
            for each in news:
                each.failure = ended
        for each in news:
            if (flight := self._flights.get(each.name)) is not None:
                flight.news.set()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if not self._flow.idle:
            pause = 0.0 if self._flow.behind else self._flow.patience
            self._timer = self._loop.call_later(pause, self._turn)
