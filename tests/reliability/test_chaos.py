"""`make chaos`, each claim once: at its smallest size, or at the usual one in `LONG=1 make test`.

Times are not judged here: a claim's misses may be the machine's, its faults are ours. Each process
of tests has ports of its own: between a probe of a port and its use, another could take it.

Covers `chaos/cli`, `context`, `chaos/claims/`, `crowd`, `flow`, `traffic/keep_alive`, `resumption`,
`greenlet_count`, `local/ports`, `processes`, `local/server`.
"""

import os

import pytest

from commands.chaos.claims import CLAIMS
from commands.chaos.cli import run
from commands.chaos.options import parse
from sizes import LONG

SEED = "20"
SIZE = "ci" if LONG else "test"
PORT = str(10_000 + os.getpid() % 1000 * 20)  # below those that the system gives to clients

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_stands(name: str) -> None:
    given = ["--size", SIZE, "--only", name, "--seed", SEED, "--port", PORT, "--no-page"]
    options = parse(given, CLAIMS)
    found = run(CLAIMS[name], options, options.size_of(CLAIMS[name]))
    assert found.faults == []
    assert found.figures
