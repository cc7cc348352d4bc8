"""Every kernel compiles for GPUs that are not here, without what would change its bits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.kernels.gpu.device import GPU

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[3] / "inference-api"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KERNELS = {
    "linear._linear",
    "linear_int8._quantise",
    "linear_int8._linear",
    "token_by_token._rms_norm",
    "token_by_token._place_heads",
    "attention._store",
    "attention_kernels.attend",
    "attention_kernels.fold",
    "choosing.choose",
}
SMALL = 99 << 10  # bytes of shared memory that a program may use on any GPU since Ampere


@pytest.fixture(scope="module", params=["80", "90"] if not GPU else ["80", "90", "100", "120"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Return what each kernel's code for an architecture holds."""
    folder = tmp_path_factory.mktemp("compiled")
    variables = {name: text for name, text in os.environ.items() if name != "TRITON_INTERPRET"}
    shown = subprocess.run(
        [sys.executable, HERE / "compiling.py", request.param],
        env=variables | {"PYTHONPATH": str(SOURCE), "TRITON_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


def test_every_kernel_compiles_and_fits(made: list[Any]) -> None:
    assert {each["kernel"] for each in made} == KERNELS
    assert all(each["shared"] <= SMALL and not each["spilled"] for each in made)


def test_products_are_the_matrix_units_and_the_sampler_fuses_nothing(made: list[Any]) -> None:
    products = {each["kernel"] for each in made if each["products"]}
    assert products == {"linear._linear", "linear_int8._linear", "attention_kernels.attend"}
    assert not any(each["fused"] for each in made if each["kernel"] == "choosing.choose")


def test_both_roads_of_attention_multiply_alike(made: list[Any]) -> None:
    roads = [each["products"] for each in made if each["kernel"] == "attention_kernels.attend"]
    assert len(roads) == 3  # by span, in turn, and with all options
    assert len(set(roads)) == 1
