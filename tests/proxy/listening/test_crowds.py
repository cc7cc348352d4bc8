"""Many streams at once: all complete, and none mixed up.

Covers `silence`, `rowcast_proxy/listening/worker`.
"""

import concurrent.futures

from gevent import socket

from processes import Running
from rowcast_proxy.listening.worker import bound_silence

from ..clients import ask, bearer
from ..fake_upstream import LAST_CHUNK, STREAM_HEAD, Call, FakeUpstream, chunk


def name_itself(call: Call) -> None:
    """Send a stream of many chunks that each contain the caller and its request."""
    word = f"{call.header('X-Rowcast-Team')}/{call.body.decode()} ".encode()
    call.send(STREAM_HEAD)
    for _ in range(50):
        call.send(chunk(word))
    call.send(LAST_CHUNK)


def test_no_byte_of_one_stream_is_in_another(proxy: Running, upstream: FakeUpstream) -> None:
    def own_words(number: int) -> bool:
        body, team = f"prompt-{number}".encode(), f"team-{number % 7}"
        reply = ask(proxy.port, "POST", "/inference/m", body, bearer(team_id=team))
        return reply.body == f"{team}/prompt-{number} ".encode() * 50

    upstream.answer = name_itself
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert all(pool.map(own_words, range(200)))


def test_connections_inherit_the_limits_of_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound_silence(listener, 30)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
