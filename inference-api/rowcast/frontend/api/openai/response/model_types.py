"""The objects that describe models: OpenAI's fields, those of llama-server's router, and ours."""

from typing import Literal

from msgspec import Struct

from rowcast.models.build import Load
from rowcast.models.messages import State
from rowcast.wire import Pooling


class ModelStatus(Struct, kw_only=True, omit_defaults=True):
    """Whether a model is loaded, in llama-server's words."""

    value: Literal["loaded", "loading", "unloaded"]
    failed: bool = False  # the last load
    stage: str | None = None  # of loading
    reason: str | None = None  # why the last load failed
    retry_seconds: int | None = None  # until the next try


class OtherBuild(Struct, kw_only=True):
    """Another build of a name: an old one until its last session ends, a new one until ready."""

    state: State
    fingerprint: str | None
    bytes: int | None
    status: ModelStatus


class Model(Struct, kw_only=True):
    """A model under one of its names."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "rowcast"
    permission: list[str]
    root: str
    max_model_len: int | None
    dimensions: int | None  # numbers in an embedding; null: it computes none, or is not loaded
    pooling: Pooling | None  # what an embedding is made of
    fingerprint: str | None
    status: ModelStatus
    state: State
    aliases: list[str]  # its other names
    bytes: int | None  # of memory, loaded or not; null: not known yet
    load: Load
    idle_seconds: float  # without a session, until it is unloaded; 0: only to make room
    keep: bool  # never unloaded to make room
    loads: int  # how often it was loaded
    load_seconds: float  # how long the last load took
    others: list[OtherBuild]  # of this name


class ModelList(Struct):
    """GET /v1/models."""

    data: list[Model]
    object: Literal["list"] = "list"
