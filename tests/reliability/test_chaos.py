"""`make chaos` at its smallest: each claim is put to the test once, and none is refuted.

How long something took is not judged here: a claim's misses are the machine's, its faults are ours.
"""

import pytest

from proof.claims import CLAIMS
from proof.cli import run
from proof.options import parse

SEED = "20"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_stands(name: str) -> None:
    options = parse(["--size", "test", "--only", name, "--seed", SEED, "--no-page"], CLAIMS)
    found = run(CLAIMS[name], options, options.size_of(CLAIMS[name]))
    assert found.faults == []
    assert found.figures
