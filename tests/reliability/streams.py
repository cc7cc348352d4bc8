"""Streams in flight: opened and partly read, then finished and compared byte by byte."""

from collections.abc import Sequence
from dataclasses import dataclass

from raw_http import Answer, Client, request_bytes
from scripted_replies import long_reply, scripted_reply

PATH = "/inference/scripted"


@dataclass(frozen=True)
class OpenStream:
    """A reply in flight, and its complete text."""

    client: Client
    expected: str

    def finish(self) -> Answer:
        """Read the rest; fail unless it is complete and every byte is as computed."""
        with self.client:
            answer = self.client.finish()
        assert answer.whole
        assert answer.text == self.expected
        return answer

    def is_cut(self) -> bool:
        """Read until the server closes; return whether the body ended without its last chunk."""
        with self.client:
            return not self.client.finish().whole


def prompt(text: str, seed: int, max_tokens: int, **more: object) -> bytes:
    """Return the request for one scripted reply."""
    body = {"text": text, "seed": seed, "max_tokens": max_tokens, **more}
    return request_bytes(PATH, body)


def begin(port: int, name: str, tokens: int) -> OpenStream:
    """Open a stream of at least `tokens` tokens, and read its first piece."""
    text = f"This is stream {name}. "
    seed = long_reply(text, tokens, at_least=tokens)
    client = Client(port).send(prompt(text, seed, tokens)).read_body()
    return OpenStream(client, scripted_reply(text, seed, tokens).text)


def begin_several(port: int, count: int, tokens: int) -> list[OpenStream]:
    """Open several distinguishable streams."""
    return [begin(port, f"number {number}", tokens) for number in range(count)]


def finish_all(streams: Sequence[OpenStream]) -> None:
    """Finish all streams; each must be as computed."""
    for stream in streams:
        stream.finish()


def works(port: int) -> bool:
    """True if a valid request gets its correct answer."""
    with Client(port) as client:
        answer = client.send(prompt("Hello", 5, 20)).finish()
    return answer.status == 200 and answer.text == scripted_reply("Hello", 5, 20).text
