"""What a case of the corpus is, and the small words its requests are written with.

A `Case` holds the raw bytes of one bad or odd request, a sentence on what is wrong with it, and the
statuses that lawful answers have. `AUTHORIZATION` is a line with a place for a good token, so that
the same bytes go to the server, which does not look at it, and through the proxy, which does.
Knows no sockets and no servers.
"""

from dataclasses import dataclass

CLOSED = 0  # stands among the statuses for a connection that ends without an answer

TOKEN_BYTES = 131
TOKEN_PLACE = b"<token>".ljust(TOKEN_BYTES, b"-")  # as long as a token: lengths are announced
HOST = b"Host: rowcast.test"
AUTHORIZATION = b"Authorization: Bearer " + TOKEN_PLACE
JSON = b"Content-Type: application/json"
HIDDEN = b"X-Request-ID: hidden"  # marks a request that must never be answered as one of its own

PROMPT, SEED, MAX_TOKENS = b"Hi", 7, 3
GOOD_BODY = b'{"text": "%s", "max_tokens": %d, "seed": %d}' % (PROMPT, MAX_TOKENS, SEED)
BODY_LIMIT = 256 << 10  # bytes; what the servers of these tests are set to


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request of the corpus.

    `hint` is a word that the message of the answer must hold. `at_proxy` are the statuses when the
    proxy judges differently; `behind` says that the answer is the server's own, passed on.
    """

    name: str
    says: str
    raw: bytes
    allowed: tuple[int, ...] = (400,)
    at_proxy: tuple[int, ...] | None = None
    hint: str = ""
    behind: bool = False
    ends: bool = False  # the client half-closes after its last byte
    answers: int = 1  # the most answers that these bytes may get

    @property
    def dripped(self) -> bool:
        """Whether it is short enough to be sent byte by byte."""
        return len(self.raw) <= 4096

    def statuses(self, through_proxy: bool) -> tuple[int, ...]:
        return self.at_proxy if through_proxy and self.at_proxy is not None else self.allowed


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """A request with these headers and no others."""
    return b"\r\n".join([line, *headers, b"", body])


def asked(line: bytes, *headers: bytes) -> bytes:
    """A request without a body that is good but for its line or these headers."""
    return request(line, HOST, AUTHORIZATION, *headers)


def posted(
    body: bytes, *headers: bytes, line: bytes = b"POST /predictions/scripted HTTP/1.1"
) -> bytes:
    """A prompt with these framing headers in the place of a good Content-Length."""
    return request(line, HOST, AUTHORIZATION, JSON, *headers, body=body)


def sent(body: bytes, *headers: bytes) -> bytes:
    """A prompt that is framed well, whatever its body is."""
    return posted(body, b"Content-Length: %d" % len(body), *headers)


def chunked(body: bytes, *headers: bytes) -> bytes:
    """A prompt whose body says itself, for good or ill, where its chunks end."""
    return posted(body, b"Transfer-Encoding: chunked", *headers)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
GOOD_CHUNKS = chunk(GOOD_BODY) + LAST_CHUNK
