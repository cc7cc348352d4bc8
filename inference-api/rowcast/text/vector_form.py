"""How prompts become vectors by default: as POOLING or the model's folder specifies.

    modules.json               the steps of a sentence-transformers model, each with its type
    <pooling step>/config.json which tokens' states the vector is made of

A model without these files is pooled by its last token, and its vectors have length 1. A step that
is not computed here is a `problem`, so that no vector differs silently from the model's own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rowcast.errors import UnknownModel
from rowcast.model_files import ModelFiles
from rowcast.settings import Settings
from rowcast.wire import Pooling

STEPS, STEP_CONFIG = "modules.json", "config.json"
_POOLINGS: dict[str, Pooling] = {"lasttoken": "last", "last": "last", "mean": "mean"}
_KNOWN = ("Transformer", "Pooling", "Normalize")
_MODE, _TOKENS = "pooling_mode_", ("_tokens", "_token")


@dataclass(frozen=True, slots=True)
class VectorForm:
    """A model's defaults for vectors. `problem`: why requests must name the pooling; or empty."""

    pooling: Pooling = "last"
    normalizes: bool = True
    problem: str = ""


def vector_form_of(settings: Settings, files: ModelFiles | None) -> VectorForm:
    """Return a model's defaults. Raises UnknownModel if its files cannot be read."""
    steps = steps_of(files) if files else []
    own = _own(files, steps) if files and steps else VectorForm()
    pooling = settings.pooling
    return own if pooling == "auto" else VectorForm(pooling, own.normalizes)


def _own(files: ModelFiles, steps: list[Mapping[str, Any]]) -> VectorForm:
    """Return the defaults that the steps of a sentence-transformers model specify."""
    types = [str(step.get("type")).rpartition(".")[2] for step in steps]
    unknown = [each for each in types if each not in _KNOWN]
    if unknown:
        return VectorForm(problem=f"{STEPS} has a step {unknown[0][:40]!r}, which is not computed")
    pooled = types.index("Pooling") if "Pooling" in types else None
    modes = ["last"]
    if pooled is not None:
        modes = list(_modes(files.words(f"{steps[pooled].get('path')}/{STEP_CONFIG}")))
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        named = " and ".join(modes)[:80] or "nothing"
        return VectorForm(problem=f"it is pooled by {named}, which is not computed")
    return VectorForm(_POOLINGS[modes[0]], "Normalize" in types)


def _modes(words: Mapping[str, Any]) -> Iterator[str]:
    """Yield the poolings that a step's configuration selects: by a name, or by flags."""
    if isinstance(named := words.get("pooling_mode"), str):
        yield named
        return
    for name, value in words.items():
        if value is True and name.startswith(_MODE):
            mode = name.removeprefix(_MODE)
            for ending in _TOKENS:
                mode = mode.removesuffix(ending)
            yield mode


def steps_of(files: ModelFiles) -> list[Mapping[str, Any]]:
    """Return the steps that the folder lists; none if it is not of sentence-transformers."""
    path = files.find(STEPS)
    if path is None:
        return []
    try:
        steps = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnknownModel(f"{STEPS} of MODEL {files.model!r} cannot be read: {error}") from error
    if not isinstance(steps, list) or not all(isinstance(each, dict) for each in steps):
        raise UnknownModel(f"{STEPS} of MODEL {files.model!r} is not a list of objects")
    return steps
