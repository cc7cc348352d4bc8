"""The scripted rule by fixed values, computed by another program from its description.

Covers `scripted_rule`.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from commands.bench.verification.scripted_rule import Reply, reply_to

CUT = "\ufffd".encode()


@pytest.mark.parametrize(
    ("prompt", "seed", "choice", "limit", "reply"),
    [
        pytest.param(
            *(b"Hello", 1, 0, 12),
            Reply(b" puri rimo line mapa tosi pofe digu rebu gero biso gole" + CUT, 12, "length"),
            id="cut within a character",
        ),
        pytest.param(
            *(b"Hello", 1, 1, 12),
            Reply(b" dadi pana fifi bufe mura nuri nemi gune debi fuki! komo", 12, "length"),
            id="another choice",
        ),
        pytest.param(
            *(b"", 0, 0, 8),
            Reply(b" tilu duka todu dibi tako neni teke niga", 8, "length"),
            id="empty prompt",
        ),
        pytest.param(
            *("café".encode(), 2**63 - 1, 0, 16),
            Reply(
                b" luse lifi resu badi fono fige budi dupi lino fumi beda fafo mita tafe ligo pubu",
                16,
                "length",
            ),
            id="largest seed, multi-byte prompt",
        ),
        pytest.param(
            *(b"\xe6\x97", 5, 0, 6),
            Reply(CUT + b" mupe sedo mape teba nuka", 6, "length"),
            id="goes on with a character that the prompt began",
        ),
        pytest.param(
            *(b"x\xf0", 9, 0, 6), Reply(CUT * 3 + "ô dutu".encode(), 6, "length"), id="three to go"
        ),
        pytest.param(
            *(b"\xf0\x9f\x98", 9, 0, 4),
            Reply(CUT + b" nudu fosa ragi", 4, "length"),
            id="one to go",
        ),
        pytest.param(
            *(b"cut", 6, 0, 6), Reply("\u043e menu\ufffd".encode(), 6, "length"), id="Cyrillic"
        ),
        pytest.param(
            *(b"smile", 39, 0, 8),
            Reply("😆 nulo pabe tade refe".encode(), 8, "length"),
            id="smiley",
        ),
        pytest.param(
            *(b"stop", 315, 0, 6), Reply(b" remu muti bore nasu gulu", 6, "stop"), id="early end"
        ),
        pytest.param(*(b"q", 272, 0, 3), Reply(b"", 1, "stop"), id="end at once"),
        pytest.param(*(b"q", 272, 0, 0), Reply(b"", 0, "length"), id="nothing asked"),
    ],
)
def test_reply_is_what_the_rule_says(
    prompt: bytes, seed: int, choice: int, limit: int, reply: Reply
) -> None:
    assert reply_to(prompt, seed, limit, choice) == reply


def test_a_longer_limit_only_adds() -> None:
    replies = [reply_to(b"Hello", 7, limit) for limit in range(200)]
    for shorter, longer in pairwise(replies):
        whole_characters = shorter.text.decode().removesuffix("\ufffd")
        assert longer.text.decode().startswith(whole_characters)
