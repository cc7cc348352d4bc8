"""The generation configuration of a model: defaults for what its requests do not set.

In: CONFIG_FILE, MAX_NEW_TOKENS, NUM_RETURN_SEQUENCES, STREAMING_CHUNKS. Out: a `Generation`.

The fields are those of a generation_config.json that have a meaning here; others are ignored. A
variable takes precedence over its field. A value out of range is refused: an operator wrote it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rowcast.errors import UnknownModel
from rowcast.models.file.faults import shortened
from rowcast.sampling_params import PARAMETERS
from rowcast.settings import Settings, checked
from rowcast_settings.kinds import Invalid

BYTES = 1 << 20  # of the file
_COUNTS = ("max_new_tokens", "num_return_sequences")  # which are also settings
_BOUNDS = {each.name: each for each in PARAMETERS if each.configured}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Defaults for requests, besides those of the model's own generation_config.json."""

    sampling: Mapping[str, float] = field(default_factory=dict)  # by the names of parameters
    max_new_tokens: int = 0  # 0: as the API documents it
    num_return_sequences: int = 1
    streaming_chunks: int = 1  # tokens per chunk of a stream


def generation_of(settings: Settings) -> Generation:
    """Return the configuration that the settings name. Raises UnknownModel."""
    found = _object(settings.config_file) if settings.config_file else {}
    problems = list(_problems(found))
    if problems:
        raise UnknownModel(f"the generation configuration has {'; '.join(problems)}")
    counts = {
        name: found[name]
        for name in _COUNTS
        if found.get(name) is not None and name not in settings.chosen
    }
    return Generation(
        sampling={name: found[name] for name in _BOUNDS if found.get(name) is not None},
        max_new_tokens=counts.get("max_new_tokens", settings.max_new_tokens),
        num_return_sequences=counts.get("num_return_sequences", settings.num_return_sequences),
        streaming_chunks=settings.streaming_chunks,
    )


def _object(given: str) -> dict[str, Any]:
    """Return the JSON object that CONFIG_FILE is, or the one in the file at that path."""
    try:
        value = json.loads(given if given.startswith("{") else _text(Path(given)))
    except (OSError, ValueError, RecursionError) as error:
        place = "CONFIG_FILE" if given.startswith("{") else f"CONFIG_FILE {shortened(given)}"
        raise UnknownModel(f"{place} cannot be read: {_reason(error)}") from error
    if not isinstance(value, dict):
        raise UnknownModel(f"CONFIG_FILE {shortened(given)} is not a JSON object")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _text(file: Path) -> str:
    if not file.is_file():
        raise ValueError("there is no such file")
    with file.open("rb") as opened:
        text = opened.read(BYTES + 1)
    if len(text) > BYTES:
        raise ValueError(f"it has more than {BYTES} bytes")
    return text.decode("utf-8-sig")


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    for name in (name for name in _COUNTS if found.get(name) is not None):
        try:
            checked(name, found[name], strict=True)
        except Invalid as error:
            yield f'"{name}": {error}'
    for name, parameter in _BOUNDS.items():
        value, (least, most) = found.get(name), parameter.configured or (0.0, 0.0)
        whole = parameter.type is int
        if value is None:
            continue
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            yield f'"{name}": has to be {kind} from {least:g} to {most:g}'
