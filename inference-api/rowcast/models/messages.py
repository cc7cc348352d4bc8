"""The messages between frontends and the supervisor: the whole protocol on one page.

    frontend ──▶ supervisor   Hello first; Hold, Drop; Load, Unload
    supervisor ──▶ frontend   Snapshot, at once and at each change; Held; Done

A frontend *holds* a build while it has a session of it, or may get one. The supervisor never stops
a build that anybody holds. A frontend may send prompts to a build only between `Held` and its own
`Drop`. While a build is `pinned` in the last Snapshot, frontends that hold it go on holding it, so
that a request costs no message. Once it is not pinned, each frontend drops it when its last session
ends.

Messages of one connection arrive in order. A connection that ends drops all that it held. A
frontend that reconnects first sends all builds that it still needs, so that a new supervisor loads
them again, even if the file of models has changed.
"""

from typing import Literal

import msgspec

from rowcast.models.build import Build

State = Literal["unloaded", "loading", "ready", "draining", "failed"]


class BuildState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one build."""

    build: Build
    state: State
    url: str  # of its backend, for `transport.carriers`
    current: bool  # new requests for its name go to it
    pinned: bool = False  # frontends that hold it may go on holding it without a session
    stage: str = ""  # what loading does now, or waits for
    reason: str = ""  # why the last load failed
    retry_seconds: float = 0.0  # until the next try after a failed load
    needs: int = 0  # bytes that it takes or would take; 0: not known yet
    fingerprint: str = ""  # of the last load; "" before the first
    context_length: int = 0  # of the last load; 0 before the first
    load_seconds: float = 0.0  # how long the last load took
    loads: int = 0  # how often it was loaded since the server started
    ends: int = 0  # backends that ended without being stopped


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message of a connection: which process it is, and what it holds."""

    frontend: int  # process id
    holds: tuple[Build, ...] = ()


class Hold(msgspec.Struct, frozen=True, tag="hold"):
    """Load this build if it is not loaded, and do not stop it. Answered by Held."""

    build: Build


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """This frontend has no session of the build any more."""

    build: str
    idle_seconds: float = 0.0  # since the last session of it ended here
    keep_alive: float | None = None  # seconds, as the last request set it; negative: no limit


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load a model by hand. Answered by Done, at once."""

    number: int
    name: str


class Unload(msgspec.Struct, frozen=True, tag="unload"):
    """Unload a model by hand as soon as nobody holds it. Answered by Done, at once."""

    number: int
    name: str


class Held(msgspec.Struct, frozen=True, tag="held"):
    """The build will not be stopped before this frontend drops it. It may not be loaded yet."""

    build: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The answer to Load or Unload; `problem` is "" if it will be done."""

    number: int
    problem: str = ""


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """All builds: the current one of each name, and older ones that still have sessions."""

    builds: tuple[BuildState, ...]  # the default model's current build first
    problem: str = ""  # why the last change of the file of models was not applied; "": it was
    memory: int = 0  # bytes that all loaded builds may take together (MODELS_MEMORY)


FromFrontend = Hello | Hold | Drop | Load | Unload
FromSupervisor = Snapshot | Held | Done

encode = msgspec.msgpack.Encoder().encode
decode_from_frontend = msgspec.msgpack.Decoder(FromFrontend).decode
decode_from_supervisor = msgspec.msgpack.Decoder(FromSupervisor).decode
