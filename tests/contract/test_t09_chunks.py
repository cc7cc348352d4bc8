"""T-09: streaming responses token by token over HTTP/1.1 chunked encoding."""

import http.client
import json
import time
from itertools import pairwise

import pytest

from processes import Running
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from scripted_replies import ScriptedReply, long_reply, scripted_reply

pytestmark = pytest.mark.slow

TEXT = "What is your favorite condiment?"
TOKENS = 100


def _reply() -> tuple[int, ScriptedReply]:
    """Return a reply that does not end before its limit, and its seed."""
    seed = long_reply(TEXT, TOKENS, at_least=TOKENS)
    return seed, scripted_reply(TEXT, seed, TOKENS)


def _streamed(port: int, seed: int) -> tuple[http.client.HTTPResponse, list[tuple[float, bytes]]]:
    """Return the answer, and its chunks with their times; the first time is the request's own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"text": TEXT, "max_tokens": TOKENS, "seed": seed})
    arrivals = [(time.monotonic(), b"")]
    connection.request("POST", "/inference/falcon40b", body)
    response = connection.getresponse()
    while chunk := response.read1():
        arrivals.append((time.monotonic(), chunk))
    connection.close()
    return response, arrivals


def test_t09_streams_token_by_token_in_http11_chunks(paced_server: Running) -> None:
    seed, reply = _reply()
    response, arrivals = _streamed(paced_server.port, seed)
    assert response.version == 11
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert response.getheader("Content-Length") is None
    assert b"".join(chunk for _, chunk in arrivals).decode() == reply.text


def test_t09_most_chunks_are_one_token(paced_server: Running) -> None:
    """A frontend that lags on a busy machine may send several tokens together."""
    seed, reply = _reply()
    decoder = ScriptedTokenizer().decoder()
    pieces = [piece for token in reply.tokens if (piece := decoder.feed([token]))]
    _, arrivals = _streamed(paced_server.port, seed)
    assert len(pieces) / 2 < len(arrivals) - 1 <= len(pieces)


def test_t09_each_chunk_is_sent_when_its_token_is_there(paced_server: Running) -> None:
    """Chunks arrive throughout the reply: no pause is half as long as the whole."""
    seed, _ = _reply()
    _, arrivals = _streamed(paced_server.port, seed)
    pauses = [later - earlier for (earlier, _), (later, _) in pairwise(arrivals)]
    assert max(pauses) < sum(pauses) / 2
