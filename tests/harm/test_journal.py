"""One team's padded requests do not displace another team's records (finding M2)."""

import time

import pytest

from commands.abuse.attacks.shot import Shot
from harm.conftest import Start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_m2_padded_bodies_take_no_room_from_another_team(watched: Start) -> None:
    witness = watched(JOURNAL_BYTES=32 << 20)
    body: dict[str, object] = {"model": witness.facts.model, "prompt": "Once", "max_tokens": 4}
    kept = [witness.ask(body=body, team="small") for _ in range(4)]
    names = [answer.headers["x-stream-id"] for answer in kept]
    padded = {**body, "metadata": {"x": "y" * (3 << 20)}}
    for _ in range(3):
        answers = witness.deliver(Shot.of(padded, copies=8), seconds=60)
        assert answers.counts == {"200": 8}
        time.sleep(2)  # long enough for the journal to be swept
    for name, answer in zip(names, kept, strict=True):
        again = witness.ask(f"/v1/streams/{name}", method="GET", team="small")
        assert again.status == 200
        assert again.json()["choices"] == answer.json()["choices"]
    later = witness.ask(body=body, team="small")
    assert "x-stream-id" in later.headers, "the journal is not full for those who hold little"
