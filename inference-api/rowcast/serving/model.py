"""One model, as Python describes it: an entry of the file of models.

    Model("storyteller", dtype="int8", temperature=0.7).entry()  ──▶  {"model": "storyteller", …}

The options are the keys of such an entry (`models.file.keys` has their types and bounds) and the
sampling parameters of a generation configuration. Nothing is loaded here.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypedDict, Unpack

from rowcast.errors import InvalidField, RowcastError
from rowcast.models.file.keys import KEYS, NAMED, NAMES
from rowcast.sampling_params import PARAMETERS
from rowcast_settings.kinds import Invalid

ROWS = 32
SAMPLING = {each.name: each.configured for each in PARAMETERS if each.configured}
FILES = ("chat_template",)  # options that name a file
_GENERATION = "generation_config"


class Convertible(Protocol):
    """A generation configuration of another library."""

    def to_dict(self) -> dict[str, Any]: ...


class Sampling(TypedDict, total=False):
    """Defaults for what a request omits."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float


class Options(Sampling, total=False):
    """All options of a model."""

    aliases: list[str]
    default: bool
    load: Literal["start", "lazy"]
    idle_seconds: float
    keep: bool
    keep_alive_seconds: float
    draft: str
    generation_config: str | PathLike[str] | Mapping[str, Any] | Convertible
    dtype: str
    device: Literal["auto", "cpu", "cuda"]
    context_length: int
    kv_memory: int
    gpu_memory: float
    chat_template: str | PathLike[str]
    max_new_tokens: int
    num_return_sequences: int
    streaming_chunks: int
    pooling: Literal["auto", "last", "mean"]
    waiting_line: int
    no_weights: bool
    two_layers: bool
    save_image: bool
    load_image: bool
    image_suffix: str
    step_seconds: float
    warm_rows: int
    warm_tokens: int


class Model:
    """A model to serve: a folder, a hub id, or the name of a model in the box."""

    def __init__(self, model: str | PathLike[str], **options: Unpack[Options]) -> None:
        """An option that is None counts as not given. Raises InvalidField."""
        given = {name: value for name, value in options.items() if value is not None}
        _check_names(given)
        sampling = {name: _sampled(name, given.pop(name)) for name in SAMPLING if name in given}
        self._entry: dict[str, Any] = {"model": fspath(model)}
        self._add(given | _generation(given.get(_GENERATION), sampling))

    @property
    def name(self) -> str:
        """Its name in requests, unless the server gives it another: the last part of its id."""
        return str(self._entry["model"]).rstrip("/").rpartition("/")[2]

    def entry(self) -> dict[str, Any]:
        """Return its entry in a file of models."""
        return dict(self._entry)

    def precompile(self, batch_size: int = 1, prefill_length: int = 1024) -> Self:
        """Compute a prompt of this length, in this many rows, before the server is ready.

        The model is loaded at the start; its first request finds pages, threads and caches warm.
        Changes this model and returns it.
        """
        _check_between("batch_size", batch_size, ROWS)
        _check_between("prefill_length", prefill_length, self._entry.get("context_length") or None)
        self._add({"load": "start", "warm_rows": batch_size, "warm_tokens": prefill_length})
        return self

    def _add(self, options: Mapping[str, Any]) -> None:
        self._entry |= {name: _checked(name, value) for name, value in options.items()}

    def __repr__(self) -> str:
        options = {name: value for name, value in self._entry.items() if name != "model"}
        words = (repr(self._entry["model"]), *(f"{name}={options[name]!r}" for name in options))
        return f"Model({', '.join(words)})"


Named = Model | str | PathLike[str]


def named(models: Named | Mapping[str, Named]) -> dict[str, Model]:
    """Return the models by name. Raises RowcastError if there is none, or a name is invalid."""
    if not isinstance(models, Mapping):
        only = _model(models)
        models = {only.name: only}
    if not models:
        raise RowcastError("there is no model to serve; name at least one")
    return {_name(name): _model(each) for name, each in models.items()}


def _model(given: object) -> Model:
    if isinstance(given, Model):
        return given
    if isinstance(given, str | PathLike):
        return Model(fspath(given))
    raise RowcastError(f"{given!r} is not a model; give a Model, a path, or an id")


def _name(name: object) -> str:
    try:
        return NAMES.checked(name)
    except Invalid as error:
        raise RowcastError(f"{name!r} cannot name a model: {error}") from error


def _check_names(options: Iterable[str]) -> None:
    known = [*(key.name for key in KEYS if key.name != "model"), *SAMPLING]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise InvalidField(name, f"is not an option of a model{hint}")


def _checked(name: str, value: Any) -> Any:
    """Return the value in its JSON form. Raises InvalidField."""
    if isinstance(value, PathLike):
        value = fspath(value)
    if name in FILES:
        return str(Path(value).absolute())
    try:
        NAMED[name].kind.checked(value, strict=True)
    except Invalid as error:
        raise InvalidField(name, f"is {value!r}: {error}") from error
    return list(value) if isinstance(value, tuple) else value


def _sampled(name: str, value: Any) -> Any:
    """Return a sampling parameter. Raises InvalidField if it is out of bounds."""
    least, most = SAMPLING[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise InvalidField(name, f"is {value!r}; give a number from {least:g} to {most:g}")
    return value


def _generation(given: object, sampling: dict[str, Any]) -> dict[str, Any]:
    """Return the entry's generation configuration, with the sampling parameters over it."""
    if given is None:
        return {_GENERATION: dict(sampling)} if sampling else {}
    if isinstance(given, str | PathLike):
        path = Path(given).absolute()
        return {_GENERATION: _read(path) | sampling if sampling else str(path)}
    fields = given if isinstance(given, Mapping) else _converted(given)
    return {_GENERATION: dict(fields) | sampling}


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidField(_GENERATION, f"cannot be read from {path}: {error}") from error
    if not isinstance(fields, dict):
        raise InvalidField(_GENERATION, f"{path} does not contain a JSON object")
    return fields


def _converted(given: object) -> dict[str, Any]:
    """Return the fields of another library's object, without those that are None."""
    if not callable(to_dict := getattr(given, "to_dict", None)):
        raise InvalidField(
            _GENERATION, f"is {given!r}; give a dict, a path, or an object with to_dict()"
        )
    return {name: value for name, value in to_dict().items() if value is not None}


def _check_between(name: str, value: int, most: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < 1 or (most is not None and value > most):
        bound = f"from 1 to {most}" if most else "of at least 1"
        raise InvalidField(name, f"is {value!r}; give a whole number {bound}")
