"""A model of the Llama form as an image, and back: what it was made of, beside its parts.

    about(made_of, shape, facts)   the word that goes with a model's parts
    restore(image) ──▶ Stored      the model, its facts, what it was made of

Whether an image fits what a server wants is judged in `loading.image_source`; `llama.packer` writes
one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from rowcast.engine.decoding.llama.model import LeanModel, LeanShape
from rowcast.engine.decoding.row_cache import LayerShape
from rowcast.engine.loading.facts import Facts
from rowcast.engine.loading.image import BadImage, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOf:
    """What an image was made of; another of these is another image."""

    configuration: str  # a digest of the file
    weights: str  # of the files; empty where there are none
    precision: str  # as DTYPE calls it
    layers: int  # 0: all
    kernel: str  # its name, which tells the layout of packed weights too


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    made_of: MadeOf
    shape: LeanShape
    cache: Mapping[int, LayerShape]
    positions: int
    vocabulary: int
    dtype: str
    end_tokens: tuple[int, ...]
    suppressed: tuple[int, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What an image holds."""

    model: LeanModel
    facts: Facts
    made_of: MadeOf


def about(made_of: MadeOf, shape: LeanShape, facts: Facts) -> Mapping[str, Any]:
    """The word that goes with a model's parts."""
    word = _About(
        made_of=made_of,
        shape=shape,
        cache=facts.shapes,
        positions=facts.positions,
        vocabulary=facts.vocabulary,
        dtype=str(facts.dtype).removeprefix("torch."),
        end_tokens=tuple(sorted(facts.end_tokens)),
        suppressed=facts.suppressed,
        digest=facts.digest,
    )
    return msgspec.to_builtins(word, str_keys=True)  # type: ignore[no-any-return]


def restore(image: Image) -> Stored:
    """The model that an image holds. Its rows get every position that it knows."""
    try:
        word = msgspec.convert(image.about, _About, strict=False)
    except msgspec.ValidationError as error:
        raise BadImage(f"{image.name} is of another version: save it anew") from error
    facts = Facts(
        shapes=word.cache,
        context=word.positions,
        positions=word.positions,
        vocabulary=word.vocabulary,
        dtype=getattr(torch, word.dtype),
        device=torch.device("cpu"),
        end_tokens=frozenset(word.end_tokens),
        suppressed=word.suppressed,
        digest=word.digest,
    )
    return Stored(LeanModel(word.shape, image.parts()), facts, word.made_of)
