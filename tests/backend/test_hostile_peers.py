"""Whatever a peer sends, the backend survives and its other replies are correct.

Values that no frontend sends are refused prompt by prompt; frames that hold no commands end their
own connection.

Covers `prompt_check`.
"""

import math
import socket
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rule import reply as expected
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.transport.unix_socket import UnixBackendPort, UnixFrontendPort
from rowcast.wire import Cancel, Submit, Tokens, encode

from .driven import Driven, RecordedEngine, submit

BOUNDED = settings(deadline=None, derandomize=True, max_examples=150)
CONTEXT = 64
WITNESS = submit("witness", b"Once", max_tokens=55, seed=5)  # busy while other peers send
WHOLE = expected(b"Once", 5, 55, ignore_eos=True)[0]

INTS = st.sampled_from([0, 1, 2, 3, 31, 3856, 3857, -1, -(2**63), 2**31, 2**63, 2**64 - 1])
FLOATS = st.sampled_from([0.0, 0.5, 1.0, -1.0, 1e-320, 1e308, math.inf, -math.inf, math.nan])
IDS = st.lists(INTS, max_size=4).map(tuple)
TEXTS = st.sampled_from(["", "s", "t", "\x00", "é" * 3, "x" * 5000])
PARAMS: dict[str, st.SearchStrategy[Any]] = {
    "max_tokens": INTS,
    "temperature": FLOATS,
    "top_k": INTS,
    "top_p": FLOATS,
    "min_p": FLOATS,
    "min_tokens": INTS,
    "ignore_eos": st.booleans(),
    "stop_token_ids": IDS,
    "logprobs": st.booleans(),
    "top_logprobs": INTS,
    "prompt_logprobs": st.booleans(),
    "repetition_penalty": FLOATS,
    "presence_penalty": FLOATS,
    "frequency_penalty": FLOATS,
    "logit_bias": st.lists(st.tuples(INTS, FLOATS), max_size=3).map(tuple),
    "allowed_tokens": IDS,
    "banned_tokens": IDS,
}
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "session": TEXTS,
    "choice": INTS,
    "prompt": st.one_of(IDS, st.just((65,) * 100)),
    "seed": INTS,
    "team": TEXTS,
    "delivered": st.one_of(st.none(), IDS, st.just((65,) * 100)),
    "choices": INTS,
    "deaths": INTS,
}
SOUND = submit("s", b"Hi", max_tokens=3)


@st.composite
def submits(draw: st.DrawFn) -> Submit:
    """Draw a valid prompt with a few wild values."""
    wild = draw(st.sets(st.sampled_from([*PARAMS, *FIELDS]), max_size=3))
    params = {name: draw(PARAMS[name]) for name in PARAMS if name in wild}
    fields = {name: draw(FIELDS[name]) for name in FIELDS if name in wild}
    changed = msgspec.structs.replace(SOUND.params, **params)
    return msgspec.structs.replace(SOUND, params=changed, **fields)


COMMANDS = st.one_of(submits(), st.builds(Cancel, session=TEXTS, choice=INTS))


@pytest.mark.slow
@given(st.lists(COMMANDS, max_size=12))
@BOUNDED
def test_l_values_that_no_frontend_sends_end_no_backend(commands: list[Any]) -> None:
    driven = Driven(rows=4, width=16, context_length=CONTEXT, waiting=8)
    witness, peer = driven.reader(), driven.reader()
    witness.send(WITNESS)
    driven.step(2)
    for command in commands:
        peer.port.send([command])
        driven.backend.step()
    for _ in range(1000):
        if driven.backend.idle:
            break
        driven.backend.step()
    assert driven.backend.idle
    witness.read()
    assert tuple(witness.tokens["witness"]) == WHOLE


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("a token below all", {"prompt": (-1,)}, "token -1 of the prompt is not between 0 and 3856"),
    ("a delivered token", {"delivered": (3857,)}, "token 3857 of the delivered reply"),
    ("a choice below 0", {"choice": -1}, "choice is -1; it must be from 0 to"),
    ("no choices", {"choices": -5}, "choices is -5; it must be from 1 to"),
    ("a seed below 0", {"seed": -1}, "seed is -1; it must be from 0 to"),
    ("deaths below 0", {"deaths": -1}, "deaths is -1"),
    ("a long name", {"session": "x" * 2000}, "session's name has 2000 characters"),
    ("a long team", {"team": "x" * 2000}, "team's name has 2000 characters"),
    ("more than the context", {"prompt": (65,) * 99}, "context holds 64"),
    ("delivered beyond it", {"delivered": (65,) * 99}, "have 101 tokens; the model's context"),
    ("max_tokens", {"max_tokens": -1}, "max_tokens is -1; it must be from 0 to"),
    ("min_tokens", {"min_tokens": 2**63}, f"min_tokens is {2**63}; it must be from 0 to"),
    ("top_k", {"top_k": -2}, "top_k is -2; it must be from -1 to"),
    ("temperature", {"temperature": math.nan}, "temperature is nan; it must be from 0 to"),
    ("infinite", {"temperature": math.inf}, "temperature is inf; it must be from 0 to"),
    ("top_p", {"top_p": -0.1}, "top_p is -0.1"),
    ("min_p", {"min_p": math.nan}, "min_p is nan"),
    ("penalty", {"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
    ("presence", {"presence_penalty": math.inf}, "presence_penalty is inf"),
    ("frequency", {"frequency_penalty": math.nan}, "frequency_penalty is nan"),
    ("likeliest", {"top_logprobs": 4000}, "top_logprobs is 4000; it must be from 0 to 3857"),
    ("bias", {"logit_bias": ((1, math.nan),)}, "logit_bias has a value that is not finite"),
    (
        "biased token",
        {"logit_bias": ((-1, 1.0),)},
        f"logit_bias lists a token that is not between 0 and {2**31 - 1}",
    ),
    (
        "stops",
        {"stop_token_ids": (2**64 - 1,)},
        f"stop_token_ids lists a token that is not between 0 and {2**31 - 1}",
    ),
    ("many stops", {"stop_token_ids": (1,) * 1025}, "stop_token_ids lists 1025 tokens"),
    (
        "allowed",
        {"allowed_tokens": (-5,)},
        f"allowed_tokens lists a token that is not between 0 and {2**31 - 1}",
    ),
    ("banned", {"banned_tokens": (7,) * 4000}, "banned_tokens lists 4000 tokens"),
]


@pytest.mark.parametrize(
    ("changed", "says"), [pytest.param(*fault[1:], id=fault[0]) for fault in FAULTS]
)
def test_l_each_value_out_of_range_is_refused_with_a_sentence(
    changed: dict[str, Any], says: str
) -> None:
    driven = Driven(context_length=CONTEXT)
    peer = driven.reader()
    own = {name: value for name, value in changed.items() if hasattr(SOUND, name)}
    params = {name: value for name, value in changed.items() if name not in own}
    wrong = msgspec.structs.replace(SOUND.params, **params)
    peer.send(msgspec.structs.replace(SOUND, params=wrong, **own))
    driven.step()
    (rejected,) = peer.rejected.values()
    assert rejected.reason in {"invalid", "too_long"}
    assert says in rejected.message


def test_l_choices_beyond_those_announced_find_no_way_around_the_line() -> None:
    driven = Driven(rows=1, waiting=2)
    peer = driven.reader()
    crowd = [msgspec.structs.replace(SOUND, choice=choice, choices=2) for choice in range(9)]
    peer.send(*crowd)
    driven.step()
    assert len(peer.accepted) <= 3


SENT: list[Submit | Cancel] = [SOUND, Cancel("s", 0)]
GOOD = encode(SENT)
PART = b"\x91\x96\xa6submit\xa1s\x00\x91\x01\x82\xaamax_tokens\x01"
FRAMES = [
    pytest.param(b"\x91\x93\xa6cancel\xa2\xff\xfe\x00", id="no UTF-8"),
    pytest.param(b"\x91\x93\xa2\xff\xfe\xa1s\x00", id="a tag that is no UTF-8"),
    pytest.param(PART + b"\xa7grammar\xa1\xff\x00", id="a grammar that is no UTF-8"),
    pytest.param(b"\x91\x93\xa6cancel\xa3\xed\xa0\x80\x00", id="half of a surrogate pair"),
    pytest.param(PART + b"\xa1x" + b"\x91" * 200_000 + b"\x00\x00", id="arrays within arrays"),
    pytest.param(PART + b"\xa1x" + b"\x81\xa1a" * 200_000 + b"\x00\x00", id="maps within maps"),
    pytest.param(b"\xdd\xff\xff\xff\xff", id="an array that is longer than the frame"),
    pytest.param(b"\x91\x93\xa6cancel\xdb\xff\xff\xff\xff", id="a string that is"),
    pytest.param(b"\x91\xc7\x01\x05\x01", id="an extension"),
]


class Machine:
    """A backend over a socket, stepped manually, with a witness whose reply is in progress."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "b.sock")
        engine = RecordedEngine(rows=4, width=16, context_length=CONTEXT)
        self.backend = DecodeBackend(UnixBackendPort(self.path), lambda: engine)
        self.witness = UnixFrontendPort(self.path)
        self.witness.send([WITNESS])
        self.backend.step()
        self.backend.step()

    def hear(self, frame: bytes) -> bytes:
        """Send this frame as a peer; return what it receives until it is dropped or time is up."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(self.path)
            peer.setblocking(False)
            told, unsent = bytearray(), struct.pack(">I", len(frame)) + frame
            for _ in range(30):
                if unsent:
                    try:
                        unsent = unsent[peer.send(unsent) :]
                    except BlockingIOError:
                        pass
                    except OSError:
                        break
                self.backend.step()
                try:
                    told += peer.recv(1 << 16)
                except BlockingIOError:
                    continue
                except OSError:
                    break
        return bytes(told)

    def close(self) -> None:
        """Check that the witness's reply is complete, and that the backend ends cleanly."""
        told: list[int] = []
        while len(told) < len(WHOLE):
            self.backend.step()
            events = self.witness.receive()
            told += [t for event in events if isinstance(event, Tokens) for t in event.tokens]
        assert tuple(told) == WHOLE
        self.witness.close()
        self.backend.stop()
        self.backend.run()


@pytest.mark.parametrize("frame", FRAMES)
def test_l_a_frame_that_holds_no_commands_ends_its_own_connection(
    frame: bytes, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    machine.hear(frame)
    assert len(machine.backend._frontends) == 1
    machine.close()


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_l_whatever_bytes_a_frame_holds_the_backend_lives(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    frame = bytearray(GOOD)
    for at, byte in changes:
        frame[at] = byte
    machine = Machine(tmp_path_factory.mktemp("m"))
    machine.hear(bytes(frame))
    machine.close()
