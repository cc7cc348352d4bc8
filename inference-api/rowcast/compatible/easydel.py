"""EasyDeL's objects, over a server in a process of its own.

    import rowcast.compatible.easydel as ed

    inference = ed.vInference(
        model="storyteller",
        generation_config=ed.vInferenceConfig(max_new_tokens=2048, streaming_chunks=64),
        inference_name="LLaMA",
    )
    inference.precompile(ed.vInferencePreCompileConfig(batch_size=1, prefill_length=256))
    ed.vInferenceApiServer(inference).fire(port=8000)

`vInference` describes a model; `vInferenceApiServer` serves one or several. `generate` starts a
server for this program alone; it takes and yields token ids, as a processor makes them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from rowcast.compatible.sequences import SampleState, States, unpadded
from rowcast.errors import RowcastError
from rowcast.model_files import files_of
from rowcast.serving.model import Model
from rowcast.serving.running import RunningServer
from rowcast.serving.server import Server
from rowcast.settings import SCRIPTED, Settings

__all__ = [
    "AutoEasyDeLModelForCausalLM",
    "SampleState",
    "SamplingParams",
    "vInference",
    "vInferenceApiServer",
    "vInferenceConfig",
    "vInferencePreCompileConfig",
]

PORT = 11556  # EasyDeL's own
_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


@dataclass(slots=True)
class SamplingParams:
    """How tokens are chosen; greedily by default. Fields may be changed between two calls."""

    max_tokens: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

    def fields(self) -> dict[str, Any]:
        """Return them as fields of a request."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class vInferenceConfig:  # noqa: N801
    """Lengths, choices and sampling. The token ids that end a reply are the model's own here."""

    max_new_tokens: int = 64
    streaming_chunks: int = 16
    num_return_sequences: int = 1
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | Sequence[int] | None = None
    partition_rules: object = None
    partition_axis: object = None
    sampling_params: SamplingParams | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    do_sample: bool = True

    def sampling(self) -> dict[str, Any]:
        """Return the sampling parameters that are given, in either form."""
        flat = {name: getattr(self, name, None) for name in _DEFAULTS}
        given = self.sampling_params.fields() if self.sampling_params else {}
        given |= {name: value for name, value in flat.items() if value is not None}
        return given if self.do_sample else given | {"temperature": 0.0}


@dataclass(frozen=True, slots=True)
class vInferencePreCompileConfig:  # noqa: N801
    """A prompt that is computed before the server is ready: how many rows, how many tokens."""

    batch_size: int = 1
    prefill_length: int | Sequence[int] = 1024
    vision_included: bool = False
    vision_batch_size: int | None = None
    vision_channels: int | None = None
    vision_height: int | None = None
    vision_width: int | None = None

    @property
    def longest(self) -> int:
        """The longest of the lengths."""
        length = self.prefill_length
        return length if isinstance(length, int) else max(length)


@dataclass(frozen=True, slots=True)
class EndTokens:
    """The token ids of a model's generation_config.json; None if it does not set them."""

    eos_token_id: int | list[int] | None = None
    bos_token_id: int | None = None
    pad_token_id: int | None = None


class AutoEasyDeLModelForCausalLM:
    """The place of a model's files. Nothing is loaded in this process."""

    def __init__(self, name_or_path: str) -> None:
        self.name_or_path = name_or_path

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        **loading: object,  # noqa: ARG003
    ) -> "AutoEasyDeLModelForCausalLM":
        """`loading`: types, shards and devices of JAX; they have no effect here."""
        return cls(fspath(pretrained_model_name_or_path))

    @property
    def generation_config(self) -> EndTokens:
        """The model's own token ids."""
        if self.name_or_path == SCRIPTED:
            return EndTokens()
        words = files_of(Settings(model=self.name_or_path)).words("generation_config.json")
        return EndTokens(**{name: words.get(name) for name in EndTokens.__slots__})


class vInference:  # noqa: N801
    """A model with its defaults, to be served or used."""

    def __init__(
        self,
        model: object,
        processor_class: object = None,
        generation_config: vInferenceConfig | None = None,
        seed: int | None = None,
        inference_name: str | None = None,
    ) -> None:
        """`model`: a folder, a hub id, or an object with `name_or_path`, as transformers' have.

        `processor_class` sets the padding of `generate`; the server uses the model's tokenizer.
        """
        self.generation_config = generation_config or vInferenceConfig()
        self.processor_class = processor_class
        self.seed = seed
        config = self.generation_config
        given = config.sampling()
        self.model = Model(
            _place_of(model),
            max_new_tokens=config.max_new_tokens,
            streaming_chunks=config.streaming_chunks,
            num_return_sequences=config.num_return_sequences,
            **{name: given[name] for name in _DEFAULTS if name in given},
        )
        self.inference_name = inference_name or self.model.name
        self._running: RunningServer | None = None

    def precompile(
        self,
        config: vInferencePreCompileConfig | int,
        prefill_length: int | Sequence[int] | None = None,
    ) -> None:
        """Let the server compute a prompt of this size before it is ready. Raises RowcastError."""
        if isinstance(config, int):
            config = vInferencePreCompileConfig(config, prefill_length or 1024)
        if config.vision_included:
            raise RowcastError(
                "vision_included is true, and models here read text; leave out the vision_ fields"
            )
        self.model.precompile(config.batch_size, config.longest)

    def generate(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        sampling_params: SamplingParams | None = None,
        token_type_ids: object = None,  # noqa: ARG002  # of some processors; models here have none
    ) -> Iterator[SampleState]:
        """Yield what has been generated so far, after every `streaming_chunks` tokens.

        `input_ids`: one list of token ids for each prompt, padded where the mask is 0.
        """
        prompts, width = unpadded(input_ids, attention_mask)
        running = self._started()
        events = running.client.events(
            "/v1/completions", self._body(running, prompts, sampling_params)
        )
        count = self.generation_config.num_return_sequences
        states = States(prompts, width, count, self.generation_config.streaming_chunks, self._pad)
        return states.read(events)

    def stop(self) -> None:
        """Stop the server that `generate` started; it also ends with this program."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _started(self) -> RunningServer:
        if self._running is None:
            self._running = Server({self.inference_name: self.model}).start()
        return self._running

    def _body(
        self, running: RunningServer, prompts: list[list[int]], params: SamplingParams | None
    ) -> dict[str, Any]:
        """Return a request for the replies to all prompts."""
        config = self.generation_config
        given = {"temperature": 0.0} | (params.fields() if params else config.sampling())
        body = {name: value for name, value in given.items() if value is not None}
        body |= {"seed": self.seed} if self.seed is not None else {}
        return (
            {"max_tokens": config.max_new_tokens}
            | body
            | {
                "model": running.default,
                "prompt": prompts,
                "n": config.num_return_sequences,
                "stream": True,
                "return_token_ids": True,
            }
        )

    @property
    def _pad(self) -> int:
        """The token id that pads shorter replies: the configuration's, or the processor's."""
        named = (self.generation_config.pad_token_id, *_ids_of(self.processor_class))
        return next((each for each in named if isinstance(each, int)), 0)


class vInferenceApiServer:  # noqa: N801
    """A server of one `vInference`, or of several by name."""

    def __init__(
        self,
        inference_map: vInference | Mapping[str, vInference] | None = None,
        inference_init_call: Callable[[], vInference | Mapping[str, vInference]] | None = None,
        max_workers: int = 10,  # noqa: ARG002  # each request has a green thread
        *,
        allow_parallel_workload: bool = True,  # noqa: ARG002  # rows always work side by side
        oai_like_processor: bool = True,  # noqa: ARG002  # the model's chat template decides
        max_request_size: int | None = None,
        request_timeout: float | None = None,
    ) -> None:
        """Raises RowcastError if there is nothing to serve, or a name is invalid."""
        if inference_map is None and inference_init_call is not None:
            inference_map = inference_init_call()
        self.server = Server(
            {name: each.model for name, each in _named(inference_map).items()},
            body_bytes=max_request_size,
            reply_seconds=request_timeout,
        )

    def fire(self, host: str = "127.0.0.1", port: int = PORT) -> None:
        """Serve until Ctrl-C."""
        self.server.fire(port=port, host=host)


def _named(inferences: object) -> Mapping[str, vInference]:
    """Return one `vInference`, or several, by name. Raises RowcastError for anything else."""
    if isinstance(inferences, vInference):
        return {inferences.inference_name: inferences}
    named = inferences if isinstance(inferences, Mapping) else {}
    if not named or not all(isinstance(each, vInference) for each in named.values()):
        raise RowcastError(f"inference_map is {inferences!r}; give a vInference, or a dict of them")
    return named


def _place_of(model: object) -> str:
    place = getattr(model, "name_or_path", model)
    if not isinstance(place, str | PathLike) or not fspath(place):
        raise RowcastError(
            f"model is {model!r}; give a folder, a hub id, or an object whose name_or_path is one"
        )
    return str(fspath(place))


def _ids_of(processor: object) -> tuple[object, object]:
    """Return the token ids of a processor with which a sequence can be padded."""
    tokenizer = getattr(processor, "tokenizer", processor)
    return getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None)
