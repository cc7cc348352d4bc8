"""LLM: a model that this program runs, for lists of prompts.

    llm = LLM("storyteller", dtype="int8")
    for output in llm.generate(["Once upon a time"], SamplingParams(temperature=0.8, seed=7)):
        print(output.prompt, output.outputs[0].text)

All prompts are in the decoder's waiting line, or follow as it empties, so that all rows are busy;
outputs come in the order of the prompts. Replies are those of a server with equal parameters.
"""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeVar

from msgspec import structs

from rowcast.errors import InvalidField
from rowcast.offline.generation.chat_request import ChatOptions, Chats, Messages
from rowcast.offline.generation.in_flight import Flight, Flow
from rowcast.offline.generation.inputs import Input, Params, Prompts, inputs_of, is_one, paired
from rowcast.offline.generation.prepared import MAX_TOKENS, Prepared, Requests, Seeds
from rowcast.offline.generation.returned import output_of, score_of
from rowcast.offline.outputs import RequestOutput, Score
from rowcast.offline.params import SamplingParams
from rowcast.offline.progress_bar import progress
from rowcast.offline.runtime import Runtime

UseTqdm = bool | Callable[..., Any]
_SCORING = SamplingParams(max_tokens=0, prompt_logprobs=0)

_Result = TypeVar("_Result")


class LLM:
    """A model in this program. `close` it, or use it in a `with` block."""

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        log: str | PathLike[str] | None = None,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        """Load a model: a folder, a hub id, or the name of a model in the box.

        `settings`: those of docs/settings.md that concern a model, in small letters. `seed`: of
        parameters without one. `log`: a file for the decoder's log, or "stderr". Raises
        RowcastError with the reason if the model cannot be loaded.
        """
        self._seeds = Seeds(seed)
        self._runtime = Runtime(model, settings, log)
        self._closer = weakref.finalize(self, self._runtime.close)
        try:
            self._runtime.begin()
            self._runtime.wait()
        except BaseException:
            self.close()
            raise

    def generate(
        self,
        prompts: Prompts,
        sampling_params: Params = None,
        use_tqdm: UseTqdm = True,
    ) -> list[RequestOutput]:
        """Return the outputs for these prompts, in their order.

        A list is checked before anything is computed: a prompt that is too long raises, and none
        is computed. Raises RowcastError.
        """
        self._runtime.check()
        requests = self._requests(prompts, sampling_params)
        lazy = not isinstance(prompts, Sequence)
        return self._run(requests if lazy else list(requests), use_tqdm, self._output)

    def chat(
        self,
        messages: Messages | Sequence[Messages],
        sampling_params: Params = None,
        use_tqdm: UseTqdm = True,
        *,
        chat_template: str | None = None,
        tools: Sequence[dict[str, Any]] | None = None,
        tool_choice: str | dict[str, Any] | None = None,
        continue_final_message: bool = False,
        add_generation_prompt: bool = True,
        chat_template_kwargs: dict[str, Any] | None = None,
    ) -> list[RequestOutput]:
        """Return the outputs for one conversation, or for several.

        Each `outputs[n].message` is what the chat API would return: content, tool calls, reasoning.
        """
        self._runtime.check()
        if chat_template is not None:
            raise InvalidField("chat_template", "is set for all chats: LLM(…, chat_template=FILE)")
        if not add_generation_prompt and not continue_final_message:
            raise InvalidField("add_generation_prompt", "is false; the reply would have no role")
        options = ChatOptions(tools, tool_choice, continue_final_message, chat_template_kwargs)
        chats: Sequence[Any] = [messages] if _is_chat(messages) else messages
        prepare = Chats(self._runtime.served, options, self._seeds).prepared
        requests = [
            prepare(f"messages[{number}]", *each)
            for number, each in enumerate(paired(chats, sampling_params, len(chats)))
        ]
        return self._run(requests, use_tqdm, self._output)

    def score(
        self,
        texts: Prompts,
        continuations: Sequence[str] | None = None,
        use_tqdm: UseTqdm = True,
    ) -> list[Score]:
        """Return the log-probabilities of the tokens of each text.

        With `continuations`, one for each text: those of the continuation alone, after its text.
        """
        self._runtime.check()
        given = list(inputs_of(texts))
        starts = [0] * len(given)
        if continuations is not None:
            starts = [len(self._encoded(each)) for each in given]
            given = [self._continued(*each) for each in zip(given, continuations, strict=True)]
        requests = Requests(self._runtime.served, self._seeds)
        prepared = [requests.prepared(each, _SCORING) for each in given]
        flights = self._run(prepared, use_tqdm, lambda flight: flight)
        return [score_of(flight, start) for flight, start in zip(flights, starts, strict=True)]

    def get_default_sampling_params(self) -> SamplingParams:
        """Return the model's own defaults, which hold where no parameters are given."""
        served = self._runtime.served
        own = served.generation.max_new_tokens
        return SamplingParams(**structs.asdict(served.defaults), max_tokens=own or MAX_TOKENS)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, as of a prompt."""
        return list(self._runtime.served.tokenizer.encode(text))

    @property
    def context_length(self) -> int:
        """The most tokens that a prompt and its reply may have together."""
        return self._runtime.served.status().context_length

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the build: with equal ones, equal requests give equal bytes."""
        return self._runtime.served.status().fingerprint

    def close(self) -> None:
        """End the decoder's process, and all that belongs to it."""
        self._closer()

    def _encoded(self, given: Input) -> tuple[int, ...]:
        return self._runtime.served.tokenizer.encode(given.text) if given.text else given.tokens

    def _continued(self, given: Input, continuation: str) -> Input:
        """Return a prompt with its continuation."""
        if given.text is not None:
            return Input(given.name, given.text + continuation)
        more = self._runtime.served.tokenizer.encode(continuation, special=False)
        return Input(given.name, None, given.tokens + more)

    def _requests(self, prompts: Prompts, params: Params) -> Iterator[Prepared]:
        count = 1 if is_one(prompts) else len(prompts) if isinstance(prompts, Sequence) else None
        requests = Requests(self._runtime.served, self._seeds)
        return (requests.prepared(*each) for each in paired(inputs_of(prompts), params, count))

    def _run(
        self,
        requests: Iterable[Prepared],
        use_tqdm: UseTqdm,
        result: Callable[[Flight], _Result],
    ) -> list[_Result]:
        """Compute requests; return the result of each, in their order."""
        total = len(requests) if isinstance(requests, Sequence) else None
        bar = progress(use_tqdm, total)
        results: dict[str, _Result] = {}
        try:
            for flight in flown(self._runtime, requests):
                results[flight.name] = result(flight)
                bar.update(1)
                bar.count(sum(reply.source.tokens for reply in flight.replies))
        finally:
            bar.close()
        return [results[str(number)] for number in range(len(results))]

    def _output(self, flight: Flight) -> RequestOutput:
        return output_of(flight, self._runtime.served.tokenizer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def flown(runtime: Runtime, requests: Iterable[Prepared]) -> Iterator[Flight]:
    """Yield requests as they end. Leaving the iterator ends the others."""
    arrived = threading.Event()
    flow = Flow(runtime, arrived, whole=True)
    source = enumerate(requests)
    try:
        more = True
        while more or not flow.idle:
            arrived.clear()
            while more and flow.has_room:
                number, request = next(source, (0, None))
                more = request is not None
                if request is not None:
                    flow.add(Flight(str(number), request))
                    flow.submit()
            ended = [flight for flight in flow.turn() if flight.finished]
            yield from ended
            if not ended and not flow.idle:
                arrived.wait(flow.patience)
    finally:
        flow.close()


def _is_chat(messages: Messages | Sequence[Messages]) -> bool:
    """True for one conversation."""
    return bool(messages) and isinstance(messages[0], dict)
