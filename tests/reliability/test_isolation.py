"""Many streams at once: no byte of one in another, every byte as the scripted rule computes it."""

import pytest

from processes import Running
from raw_http import gather
from reliability.streams import prompt
from scripted_replies import scripted_reply

STREAMS = 200
TOKENS = 80


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(3))
def test_200_concurrent_streams_never_share_a_byte(server: Running, turn: int) -> None:
    texts = [f"Turn {turn}, stream {number}: " for number in range(STREAMS)]
    requests = [prompt(text, number, TOKENS) for number, text in enumerate(texts)]
    answers = gather(server.port, requests)
    expected = [scripted_reply(text, number, TOKENS).text for number, text in enumerate(texts)]
    assert all(answer.status == 200 and answer.whole for answer in answers)
    assert [answer.text for answer in answers] == expected
    assert len(set(expected)) == STREAMS
