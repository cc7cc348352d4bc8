"""The messages between frontends and backends: the whole protocol on one page.

    frontend ──▶ backend   commands, the input queue: Submit, Limited, Embed, Cancel; WatchRows
    backend ──▶ frontend   events, the output queue: Accepted | Rejected, Seated, Scored…, Tokens…,
                           Embedded, Finished; Status, RowStates

A reply is named by (session, choice). Each accepted Submit gets exactly one Finished. Tokens carry
their index in the reply: a reader takes only the next one, so a repeated event changes nothing.
Token ids only: no text crosses here. Batches are msgpack: `encode`, `decode_commands`,
`decode_events`. The choices of one prompt carry it, and their parameters, only once.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from rowcast.sampling_params import SamplingParams

VERSION = 4
LITTLE_ROOM = 64  # below it the backend reports every change, so that frontends can refuse early

Pooling = Literal["last", "mean"]  # a vector is the last token's state, or the mean of all
# … or some logits of the token that would follow, or the number of a classifier's one label
Pooled = Pooling | Literal["logits", "label"]
Phase = Literal["prefill", "decode"]
FinishReason = Literal["stop", "length", "cancelled", "error", "unavailable", "deadline"]
RejectReason = Literal["empty", "invalid", "too_long", "overloaded", "stopping"]
ReplyKey = tuple[str, int]
Top = tuple[tuple[int, float], ...]  # the likeliest tokens at one position, likeliest first


class _Message(msgspec.Struct, frozen=True, array_like=True):
    session: str
    choice: int

    @property
    def key(self) -> ReplyKey:
        return (self.session, self.choice)


class Submit(_Message, frozen=True, tag="submit"):
    """Seat this prompt.

    `delivered` is None at first; after a backend's end the prompt is sent again to the next one,
    with the reply tokens that the frontend already has. Replies of one session, its choices, are
    sent in one batch: either all are accepted or none.
    """

    prompt: tuple[int, ...]
    params: SamplingParams
    seed: int
    team: str = ""
    delivered: tuple[int, ...] | None = None
    choices: int = 1  # how many replies the session has
    deaths: int = 0  # consecutive backend deaths while it was seated without a new token
    repeats: bool = False  # in an encoded batch: prompt and params are those of the previous Submit
    prefix_key: str = ""  # replies with an equal key may share computed prefixes; "": with none
    stream: str = ""  # the id by which its team knows the stream; "": it belongs to nobody

    def as_choice(self, choice: int) -> "Submit":
        """Return the same prompt for another choice."""
        return msgspec.structs.replace(self, choice=choice)


class Limited(Submit, frozen=True, tag="limited"):
    """Seat this prompt only beside fewer than `dyn_batch` other Limited ones of its team."""

    dyn_batch: int = 1


class Embed(Submit, frozen=True, tag="embed"):
    """Seat this prompt, and reply with the vector that its tokens' states are pooled to."""

    pooling: Pooled = "last"
    logits: tuple[int, ...] = ()  # of these tokens, if it is pooled so


class Cancel(_Message, frozen=True, tag="cancel"):
    """No client reads this reply any more: free its row."""


class WatchRows(msgspec.Struct, frozen=True, array_like=True, tag="watch"):
    """Send this frontend RowStates, with a Status: now, and then every second."""


class Accepted(_Message, frozen=True, tag="accepted"):
    """The prompt is in the waiting line."""


class Seated(_Message, frozen=True, tag="seated"):
    """The reply has a row: if the backend ends now, this reply may be the cause.

    The first `cached` tokens of its prompt were computed for another request.
    """

    cached: int = 0


class Rejected(_Message, frozen=True, tag="rejected"):
    """The prompt was refused, with the reason; nothing else follows."""

    reason: RejectReason
    message: str
    retry_after: int = 1


class Tokens(_Message, frozen=True, tag="tokens"):
    """Reply tokens; the first of them has index `index` in the reply."""

    index: int
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    top: tuple[Top, ...] | None = None


class Scored(_Message, frozen=True, tag="scored"):
    """Log-probabilities of prompt tokens from index `index` on; the first token has none."""

    index: int
    logprobs: tuple[float, ...]
    top: tuple[Top, ...] | None = None


class Embedded(_Message, frozen=True, tag="embedded"):
    """The vector of a prompt that was sent as Embed: fp32, little-endian."""

    vector: bytes


class Finished(_Message, frozen=True, tag="finished"):
    """The one true end of an accepted reply of `length` tokens."""

    length: int
    reason: FinishReason
    message: str = ""


class Prefixes(msgspec.Struct, frozen=True, array_like=True):
    """What a backend has saved by computed prefixes, in tokens, and what it stores of them."""

    looked_up: int = 0  # prompt tokens of all replies that may share prefixes
    found: int = 0  # those of them that were not computed again
    entries: int = 0  # in the store beyond the rows
    bytes: int = 0
    limit: int = 0  # bytes; 0: nothing is stored beyond the rows


class CacheUse(msgspec.Struct, frozen=True, array_like=True):
    """The memory of all rows' caches, in tokens."""

    tokens: int = 0  # that rows may hold together; 0: not reported
    committed: int = 0  # prompts of the seated replies, and the most tokens that these may have
    token_bytes: int = 0

    def seats(self, seated: int, free_rows: int) -> int:
        """Return how many free rows there is memory for, if replies are as large as the seated."""
        if not self.committed or not seated:
            return free_rows
        left = max(0, self.tokens - self.committed)
        return min(free_rows, left * seated // self.committed)


class TeamRoom(msgspec.Struct, frozen=True, array_like=True):
    """What a team that has prompts in the waiting line may add to them."""

    team: str
    room: int  # prompts of this team that would be accepted now
    waiting: int  # prompts of this team
    retry_after: int = 1  # seconds


class Status(msgspec.Struct, frozen=True, array_like=True, tag="status"):
    """What is served, and proof of life.

    Sent to each frontend that joins, then every second, and on each change while there is little
    room.
    """

    model: str
    fingerprint: str
    context_length: int
    rows: int
    seated: int
    waiting: int
    steps: int
    stopping: bool = False
    version: int = VERSION
    replaces_killed: bool = False  # killed from outside: no reply is to blame
    room: int = 1 << 30  # prompts that would be accepted now from a team that has none waiting
    retry_after: int = 1  # seconds, if there is no room
    team_rooms: tuple[TeamRoom, ...] = ()  # teams that have little room, or more than a newcomer
    dimensions: int = 0  # numbers in a vector; 0: the model computes none
    prefixes: Prefixes = Prefixes()
    cache: CacheUse = CacheUse()

    @property
    def usable_rows(self) -> int:
        """The number of free rows for which there is probably memory."""
        return self.cache.seats(self.seated, self.rows - self.seated)

    @property
    def little_room(self) -> bool:
        """True while the backend reports every change of room."""
        return min(self.room, *(each.room for each in self.team_rooms), LITTLE_ROOM) < LITTLE_ROOM


class RowState(msgspec.Struct, frozen=True, array_like=True):
    """One occupied row. The phase is `prefill` until only its last token is left to be fed."""

    row: int
    team: str
    stream: str  # the id by which the team knows the stream; "": the row is nobody's own
    phase: Phase
    prompt_tokens: int
    reply_tokens: int


class RowStates(msgspec.Struct, frozen=True, array_like=True, tag="rows"):
    """All occupied rows, and the number of waiting prompts of each team that has any."""

    rows: tuple[RowState, ...]
    waiting: tuple[tuple[str, int], ...]
    tokens_per_second: float  # drawn for all rows, over the last second


Command = Submit | Limited | Embed | Cancel | WatchRows
Event = Accepted | Rejected | Seated | Scored | Tokens | Embedded | Finished | Status | RowStates

_UNRECORDED = {Submit.__struct_fields__.index(each) for each in ("prefix_key", "stream")}
_SAME = SamplingParams(max_tokens=0)  # stands in for omitted parameters
_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(list[Command])
_events = msgspec.msgpack.Decoder(list[Event])
_event = msgspec.msgpack.Decoder(Event)
_undecoded = msgspec.msgpack.Decoder(list[msgspec.Raw])
_MALFORMED = (UnicodeDecodeError, RecursionError)  # what a frame may raise besides DecodeError


def encode(batch: Sequence[Command] | Sequence[Event]) -> bytes:
    """Return one batch as msgpack."""
    return _encoder.encode(_without_repeats(batch))


def encode_events(batch: Sequence[Event]) -> bytes:
    """Return one batch of events as msgpack, as `encode` does: nothing in it is repeated."""
    return _encoder.encode(batch)


def encode_replies(batch: Sequence[Submit]) -> bytes:
    """Encode what determines the replies to these prompts, as journals know it.

    The key of their prefixes and the stream's id are left out: they change no token.
    """
    return _encoder.encode([_recorded(each) for each in _without_repeats(batch)])


def decode_commands(frame: bytes | memoryview) -> list[Command]:
    """Decode the commands of one frame; raise msgspec.DecodeError on anything else."""
    try:
        return _with_repeats(_commands.decode(frame))
    except _MALFORMED as error:
        raise msgspec.DecodeError(str(error)) from error


def decode_events(frame: bytes | memoryview) -> list[Event]:
    """Decode the events of one frame; raise msgspec.DecodeError on anything else."""
    try:
        return _events.decode(frame)
    except _MALFORMED as error:
        raise msgspec.DecodeError(str(error)) from error


def each_event(frame: bytes | memoryview) -> Iterator[Event]:
    """Decode the same, one event at a time: a frame with many takes milliseconds."""
    try:
        for each in _undecoded.decode(frame):
            yield _event.decode(each)
    except _MALFORMED as error:
        raise msgspec.DecodeError(str(error)) from error


def _recorded(message: Command | Event) -> list[object]:
    """Return a Submit as the array that is sent, without what changes no token."""
    values = msgspec.structs.astuple(message)
    left = [value for at, value in enumerate(values) if at not in _UNRECORDED]
    return [message.__struct_config__.tag, *left]


def _without_repeats(batch: Sequence[Command | Event]) -> list[Command | Event]:
    """Leave out prompt and parameters that are identical to those of the previous Submit."""
    sent: list[Command | Event] = []
    last: Submit | None = None
    for each in batch:
        if not isinstance(each, Submit):
            sent.append(each)
        elif last is not None and each.prompt is last.prompt and each.params is last.params:
            sent.append(msgspec.structs.replace(each, prompt=(), params=_SAME, repeats=True))
        else:
            sent.append(each)
            last = each
    return sent


def _with_repeats(batch: list[Command]) -> list[Command]:
    """Restore what was left out; the copies share it."""
    last: Submit | None = None
    for at, each in enumerate(batch):
        if not isinstance(each, Submit):
            continue
        if not each.repeats:
            last = each
            continue
        prompt, params = (last.prompt, last.params) if last else ((), each.params)
        batch[at] = msgspec.structs.replace(each, prompt=prompt, params=params, repeats=False)
    return batch
