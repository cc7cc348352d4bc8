"""Other protocols, and changes of protocol: Expect, Upgrade, HTTP/2, TLS and others."""

from ..case import CLOSED, GOOD_BODY, GOOD_CHUNKS, Case, asked, chunked, posted, sent

ALIVE = b"GET /liveness HTTP/1.1"
SIZE = b"Content-Length: %d" % len(GOOD_BODY)
WEBSOCKET = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==")

TLS_HELLO = bytes.fromhex(
    "16030100c8010000c403035f5e0102030405060708090b0c0e0f1011121314151617181920212223242526"
    "202728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f4041424344454600021301010000790000"
)


def _foreign(name: str, raw: bytes, says: str, ends: bool = True) -> Case:
    return Case(name=name, says=says, raw=raw, allowed=(400, 408, 414, CLOSED), ends=ends)


_EXPECT = (
    Case(
        name="Expect of junk",
        says="no such expectation",
        raw=sent(GOOD_BODY, b"Expect: 200-ok"),
        allowed=(417,),
    ),
    Case(
        name="Expect list",
        says="one of two is unknown",
        raw=sent(GOOD_BODY, b"Expect: 100-continue, magic"),
        allowed=(417,),
    ),
    Case(
        name="Expect empty",
        says="an expectation of nothing",
        raw=sent(GOOD_BODY, b"Expect:"),
        allowed=(200, 400, 417),
    ),
    Case(
        name="Expect, body at once",
        says="lawful: the interim answer comes too late, but does no harm",
        raw=sent(GOOD_BODY, b"Expect: 100-continue"),
        allowed=(200,),
    ),
    Case(
        name="Expect, chunks at once",
        says="lawful",
        raw=chunked(GOOD_CHUNKS, b"Expect: 100-continue"),
        allowed=(200,),
    ),
    Case(
        name="Expect, no body, end",
        says="invited, the client leaves",
        raw=posted(b"", SIZE, b"Expect: 100-continue"),
        ends=True,
    ),
    Case(
        name="Expect, no body, silence",
        says="invited, the client says nothing",
        raw=posted(b"", SIZE, b"Expect: 100-continue"),
        allowed=(408,),
    ),
    Case(
        name="Expect and a body over the limit",
        says="refused before it is sent",
        raw=posted(b"", b"Content-Length: 99999999", b"Expect: 100-continue"),
        allowed=(413,),
    ),
    Case(
        name="Expect in HTTP/1.0",
        says="to be ignored there",
        raw=posted(GOOD_BODY, SIZE, b"Expect: 100-continue", line=b"POST / HTTP/1.0"),
        allowed=(200,),
    ),
    Case(
        name="Expect without a body",
        says="there is nothing to continue",
        raw=asked(ALIVE, b"Expect: 100-continue"),
        allowed=(200, 400),
    ),
)

_UPGRADE = (
    Case(
        name="Upgrade to WebSocket",
        says="not spoken: answered as if nothing had been said",
        raw=asked(ALIVE, *WEBSOCKET, b"Sec-WebSocket-Version: 13"),
        allowed=(200, 400, 426),
    ),
    Case(
        name="Upgrade to WebSocket on a prompt's path",
        says="not spoken, and not a method of that path",
        raw=asked(b"GET /chat/scripted HTTP/1.1", *WEBSOCKET),
        allowed=(400, 405, 426),
    ),
    Case(
        name="Upgrade to h2c",
        says="not spoken: answered in HTTP/1.1",
        raw=asked(
            ALIVE,
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAMAAABk",
        ),
        allowed=(200, 400),
    ),
    Case(
        name="Upgrade to h2c with bad settings",
        says="not spoken: answered in HTTP/1.1",
        raw=asked(
            ALIVE, b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: !"
        ),
        allowed=(200, 400),
    ),
    Case(
        name="Upgrade of a prompt",
        says="the prompt is answered",
        raw=sent(GOOD_BODY, b"Upgrade: h2c", b"Connection: Upgrade"),
        allowed=(200, 400),
    ),
    Case(
        name="Upgrade to junk",
        says="not spoken",
        raw=asked(ALIVE, b"Upgrade: ,;/\xff", b"Connection: upgrade"),
        allowed=(200, 400),
    ),
)

_FOREIGN = (
    _foreign(
        "HTTP/2 preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        "HTTP/2 by surprise",
        ends=False,
    ),
    _foreign(
        "HTTP/2 frames",
        bytes.fromhex("000012040000000000000300000064"),
        "HTTP/2 without its preface",
    ),
    _foreign("TLS hello", TLS_HELLO, "https:// on a port without TLS"),
    _foreign("TLS hello, silence", TLS_HELLO, "https:// on a port without TLS", ends=False),
    _foreign("TLS alert", bytes.fromhex("15030100020228"), "a TLS client gives up"),
    _foreign(
        "PROXY v1",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + asked(ALIVE),
        "not agreed upon",
        ends=False,
    ),
    _foreign("PROXY v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), "not agreed upon"),
    _foreign("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "a wrong port", ends=False),
    _foreign("SMTP", b"EHLO rowcast.test\r\n", "a wrong port", ends=False),
    _foreign("Redis", b"*1\r\n$4\r\nPING\r\n", "a wrong port", ends=False),
    _foreign("SOCKS5", b"\x05\x01\x00", "a wrong port"),
    _foreign(
        "RTSP",
        b"OPTIONS rtsp://rowcast.test/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        "a wrong port",
        ends=False,
    ),
    _foreign("random bytes", bytes(range(255, 0, -1)) * 8, "noise"),
    _foreign("NULs", bytes(512), "noise"),
    _foreign("JSON without HTTP", GOOD_BODY + b"\r\n", "no request line", ends=False),
)

CASES = (*_EXPECT, *_UPGRADE, *_FOREIGN)
