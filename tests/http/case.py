"""A case of the corpus, and helpers to write its request.

A `Case` holds the raw bytes of one bad or odd request, a sentence on what is wrong with it, and the
statuses that are correct answers. `AUTHORIZATION` is a line with a placeholder for a valid token,
so that the same bytes go to the server, which ignores it, and through the proxy, which checks it.
Knows no sockets and no servers.
"""

from dataclasses import dataclass

CLOSED = 0  # in place of a status: the connection ends without an answer

TOKEN_BYTES = 131
TOKEN_PLACE = b"<token>".ljust(TOKEN_BYTES, b"-")  # as long as a token, so that lengths match
HOST = b"Host: rowcast.test"
AUTHORIZATION = b"Authorization: Bearer " + TOKEN_PLACE
JSON = b"Content-Type: application/json"
HIDDEN = b"X-Request-ID: hidden"  # marks a request that must never be answered separately
HIDDEN_ID = HIDDEN.partition(b": ")[2].decode()

PROMPT, SEED, MAX_TOKENS = b"Hi", 7, 3
GOOD_BODY = b'{"text": "%s", "max_tokens": %d, "seed": %d}' % (PROMPT, MAX_TOKENS, SEED)
BODY_LIMIT = 256 << 10  # bytes; the limit of the servers in these tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request of the corpus.

    `hint` is a word that the answer's message must contain. `at_proxy` are the statuses where the
    proxy decides differently; `behind` means that the answer is the server's own, passed on.
    """

    name: str
    says: str
    raw: bytes
    allowed: tuple[int, ...] = (400,)
    at_proxy: tuple[int, ...] | None = None
    hint: str = ""
    behind: bool = False
    ends: bool = False  # the client half-closes after its last byte
    answers: int = 1  # the maximum number of answers to these bytes

    @property
    def dripped(self) -> bool:
        """True if it is short enough to be sent byte by byte."""
        return len(self.raw) <= 4096

    def statuses(self, through_proxy: bool) -> tuple[int, ...]:
        return self.at_proxy if through_proxy and self.at_proxy is not None else self.allowed


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Return a request with these headers and no others."""
    return b"\r\n".join([line, *headers, b"", body])


def asked(line: bytes, *headers: bytes) -> bytes:
    """Return a request without a body that is valid except for its line or these headers."""
    return request(line, HOST, AUTHORIZATION, *headers)


def posted(
    body: bytes, *headers: bytes, line: bytes = b"POST /predictions/scripted HTTP/1.1"
) -> bytes:
    """Return a prompt with these framing headers in place of a valid Content-Length."""
    return request(line, HOST, AUTHORIZATION, JSON, *headers, body=body)


def sent(body: bytes, *headers: bytes) -> bytes:
    """Return a prompt with correct framing, whatever its body is."""
    return posted(body, b"Content-Length: %d" % len(body), *headers)


def chunked(body: bytes, *headers: bytes) -> bytes:
    """Return a chunked prompt; its body marks the chunks itself, correctly or not."""
    return posted(body, b"Transfer-Encoding: chunked", *headers)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
GOOD_CHUNKS = chunk(GOOD_BODY) + LAST_CHUNK
