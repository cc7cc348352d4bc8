"""`make chaos`, each claim once: at its CI size if CI is set, otherwise at its smallest.

Times are not judged here: a claim's misses may be the machine's, its faults are ours.

Covers `chaos/cli`, `context`, `chaos/claims/`, `crowd`, `flow`, `traffic/keep_alive`, `resumption`,
`greenlet_count`, `local/ports`, `processes`, `local/server`.
"""

import os

import pytest

from commands.chaos.claims import CLAIMS
from commands.chaos.cli import run
from commands.chaos.options import parse

SEED = "20"
SIZE = "ci" if os.environ.get("CI") else "test"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_stands(name: str) -> None:
    options = parse(["--size", SIZE, "--only", name, "--seed", SEED, "--no-page"], CLAIMS)
    found = run(CLAIMS[name], options, options.size_of(CLAIMS[name]))
    assert found.faults == []
    assert found.figures
