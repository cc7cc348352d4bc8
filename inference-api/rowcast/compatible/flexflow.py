"""FlexFlow Serve's objects, over a server in a process of its own.

    import rowcast.compatible.flexflow as ff

    llm = ff.LLM("storyteller")
    llm.compile(ff.GenerationConfig(do_sample=True, temperature=0.9, topp=0.8, topk=50))
    llm.start_server()
    print(llm.generate(["Once upon a time"])[0].output_text)
    llm.stop_server()

`compile` describes the server, `start_server` loads the model. Lengths are those of FlexFlow: the
tokens of prompt and reply together.
"""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from rowcast.errors import InvalidField, RowcastError, Unavailable
from rowcast.serving.client import Client
from rowcast.serving.model import ROWS, Model, Options
from rowcast.serving.running import RunningServer
from rowcast.serving.server import Server

REPLACING_SECONDS = 60.0  # for which a prompt is sent again while no decoder takes it
SHORTEST_PAUSE = 0.1  # seconds between two of these requests


def init(configs: Mapping[str, Any] | None = None, **machine: Any) -> None:
    """Accept a description of GPUs and parallelism. It has no effect here."""


class DataType(Enum):
    """Types of weights. DT_HALF is the model's own type, which has 16 bits in most models."""

    DT_FLOAT = "float32"
    DT_HALF = "auto"


@dataclass(slots=True)
class GenerationConfig:
    """How the next token is chosen: greedily, unless `do_sample` is true."""

    do_sample: bool = False
    temperature: float = 0.9
    topp: float = 0.8
    topk: int = 1

    def options(self) -> Options:
        """Return it as the defaults of a model."""
        if not self.do_sample:
            return Options(temperature=0.0)
        return Options(temperature=self.temperature, top_p=self.topp, top_k=self.topk)


class Text(str):
    """A text that can be decoded as if it were bytes, which is what FlexFlow returns."""

    __slots__ = ()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the text, which is already decoded."""
        return self.encode(encoding, errors).decode(encoding, errors)


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """Prompt and reply, as text and as token ids."""

    output_text: Text
    output_tokens: list[int]


class LLM:
    """A model: compiled, started, used and stopped, in this order."""

    def __init__(
        self,
        model_name: str,
        data_type: DataType = DataType.DT_HALF,
        cache_path: str = "",
        refresh_cache: bool = False,  # noqa: ARG002  # a hub's files are never outdated here
        output_file: str = "",
    ) -> None:
        """`cache_path`: where a hub's files are stored. `output_file`: gets each text."""
        self.model_name = model_name
        self.data_type = data_type
        self.generation_config = GenerationConfig()
        self._cache = os.path.expanduser(cache_path) or None  # noqa: PTH111  # "" is no path
        self._output = Path(output_file) if output_file else None
        self._longest = 0
        self._server: Server | None = None
        self._running: RunningServer | None = None

    def compile(
        self,
        generation_config: GenerationConfig | None = None,
        max_requests_per_batch: int = 1,  # noqa: ARG002  # there are always 32 rows
        max_seq_length: int = 256,
        max_tokens_per_batch: int = 64,  # noqa: ARG002  # the engine measures its width
        *,
        model_specific_data_parallelism_degree: int | None = None,  # noqa: ARG002
        model_specific_tensor_parallelism_degree: int | None = None,  # noqa: ARG002
        model_specific_pipeline_parallelism_degree: int | None = None,  # noqa: ARG002
        ssms: Sequence["LLM"] = (),
    ) -> None:
        """Describe the server. `ssms`: the first is the model's draft. Raises InvalidField."""
        self.generation_config = generation_config or GenerationConfig()
        self._longest = _checked_length("max_seq_length", max_seq_length)
        options = self.generation_config.options()
        options["dtype"] = self.data_type.value
        if ssms:
            options["draft"] = ssms[0].model_name
        self._server = Server(Model(self.model_name, **options), hub_cache=self._cache)

    def start_server(self) -> None:
        """Load the model, and return once it can be used. Raises RowcastError."""
        if self._server is None:
            raise RowcastError("call compile() before start_server()")
        if self._running is None:
            self._running = self._server.start()

    def generate(
        self, requests_or_prompts: str | Sequence[str], max_length: int = 128, **parameters: Any
    ) -> list[GenerationResult]:
        """Return a result for each prompt, in order. Raises RowcastError.

        `max_length`: tokens of prompt and reply. `parameters`: those of `POST /v1/completions`.
        """
        given = requests_or_prompts
        prompts = [given] if isinstance(given, str) else list(given)
        if not all(isinstance(prompt, str) for prompt in prompts):
            raise RowcastError("generate() takes a string, or a list of strings")
        running = self._started()
        length = min(_checked_length("max_length", max_length), self._longest)
        with ThreadPoolExecutor(min(ROWS, len(prompts) or 1)) as pool:
            results = list(
                pool.map(lambda each: _result(running, each, length, parameters), prompts)
            )
        self._write(results)
        return results

    def stop_server(self) -> None:
        """Stop the server, if it runs."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    @property
    def url(self) -> str:
        """The running server's address, which also serves `POST /generate/`."""
        return self._started().url

    def _started(self) -> RunningServer:
        if self._running is None:
            raise RowcastError("the server does not run; call start_server() first")
        return self._running

    def _write(self, results: Sequence[GenerationResult]) -> None:
        if self._output is not None:
            with self._output.open("a") as file:
                file.writelines(f"{result.output_text}\n" for result in results)


class SSM(LLM):
    """A small model that proposes tokens to a large one; see `ssms` of `LLM.compile`."""


def _checked_length(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidField(name, f"is {value!r}; give a whole number of tokens, from 1")
    return value


def _result(
    running: RunningServer, prompt: str, length: int, parameters: Mapping[str, Any]
) -> GenerationResult:
    """Return prompt and completion, of at most `length` tokens together."""
    named = {"model": running.default, "prompt": prompt}
    tokens = answered(running.client, "/tokenize", named)["tokens"]
    if len(tokens) >= length:
        raise RowcastError(
            f"the prompt has {len(tokens)} tokens, and prompt and reply may have {length} "
            "together; raise max_length of generate() and max_seq_length of compile()"
        )
    body = {"n": 1, **parameters, "model": running.default, "prompt": tokens}
    body |= {"max_tokens": length - len(tokens), "return_token_ids": True, "stream": False}
    (choice,) = answered(running.client, "/v1/completions", body)["choices"]
    return GenerationResult(Text(prompt + choice["text"]), [*tokens, *choice["token_ids"]])


def answered(client: Client, path: str, body: Mapping[str, Any]) -> Any:
    """Return the answer to a request. While a decoder is being replaced, send it again."""
    until = time.monotonic() + REPLACING_SECONDS
    while True:
        try:
            return client.post(path, body)
        except Unavailable as refusal:
            if time.monotonic() + refusal.retry_after > until:
                raise
            time.sleep(max(SHORTEST_PAUSE, refusal.retry_after))
