"""The head of a response: bytes to status, headers and the decoder of its body.

Deliberately strict: a head that two parsers could read differently is refused (`BadHead`), and so
is a body without a length, because truncation could not be distinguished from its end. Knows no
sockets.
"""

import re
from dataclasses import dataclass
from typing import Final

from rowcast_proxy.forwarding.framing import ChunkedDecoder, Decoder, LengthDecoder

LONGEST_HEAD: Final = 65536
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_BODILESS: Final = frozenset({204, 304})


class BadHead(Exception):
    """The server's response is not the HTTP that this proxy accepts."""


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    phrase: str
    headers: tuple[tuple[str, str], ...]
    decoder: Decoder


def parse_head(block: bytes, *, bodiless: bool = False) -> Head | None:
    """Parse the bytes before the empty line; None for an interim (1xx) response.

    `bodiless`: the response answers HEAD, so no body follows, whatever the head says.
    """
    first, *lines = block.split(b"\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        raise BadHead("the status line is malformed")
    status = int(found[2])
    if status == 101:
        raise BadHead("it switched protocols without a request to do so")
    if status < 200:
        return None
    headers = tuple(_field(line) for line in lines)
    phrase = (found[3] or b"").decode("latin-1")
    decoder = LengthDecoder(0) if bodiless else _decoder(status, found[1] == b"1", headers)
    return Head(status, phrase, headers, decoder)


def _field(line: bytes) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise BadHead("a header is malformed")
    return found[1].decode("ascii"), found[2].decode("latin-1").strip(" \t")


def _decoder(status: int, is_1_1: bool, headers: tuple[tuple[str, str], ...]) -> Decoder:
    codings = [value.lower() for name, value in headers if name.lower() == "transfer-encoding"]
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if status in _BODILESS:
        return LengthDecoder(0)
    if codings and not lengths and is_1_1 and codings == ["chunked"]:
        return ChunkedDecoder()
    if len(lengths) == 1 and not codings and _LENGTH.fullmatch(lengths[0]):
        return LengthDecoder(int(lengths[0]))
    raise BadHead("its body has no unambiguous end")
