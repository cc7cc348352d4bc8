"""A model of the Llama form as an image, and back: its parts, and what they were made of.

    about(made_of, shape, facts)   the metadata of a model's parts
    restore(image) ──▶ Stored      the model, its facts, what it was made of

`image_source` decides whether an image fits the server's settings; `packer` writes images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from rowcast.engine.decoding.facts import Facts
from rowcast.engine.decoding.llama.model import LlamaModel, LlamaShape
from rowcast.engine.decoding.row_cache import LayerShape
from rowcast.engine.loading.images.image import BadImage, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOf:
    """The sources of an image; a difference in any of them makes a different image."""

    configuration: str  # a digest of the file
    weights: str  # a digest of the files; empty if there are none
    precision: str  # in DTYPE's terms
    layers: int  # 0: all
    kernel: str  # its name, which also identifies the layout of packed weights


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    made_of: MadeOf
    shape: LlamaShape
    cache: Mapping[int, LayerShape]
    positions: int
    vocabulary: int
    dtype: str
    end_tokens: tuple[int, ...]
    suppressed: tuple[int, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The contents of an image."""

    model: LlamaModel
    facts: Facts
    made_of: MadeOf


def about(made_of: MadeOf, shape: LlamaShape, facts: Facts) -> Mapping[str, Any]:
    """Return the metadata of a model's parts."""
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
    """Return the model in an image. Its rows get every position that the model has."""
    try:
        word = msgspec.convert(image.about, _About, strict=False)
    except msgspec.ValidationError as error:
        raise BadImage(
            f"{image.name} was saved by another version: save it again with SAVE_IMAGE=1"
        ) from error
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
    return Stored(LlamaModel(word.shape, image.parts()), facts, word.made_of)
