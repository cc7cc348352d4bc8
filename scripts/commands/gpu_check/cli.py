"""`scripts/gpu_check`: the engine's checks on a GPU, in this Python.

--pack              downloads what the engine needs besides torch and transformers, 5 MB: once,
                    on a machine with a network, for the Python of the machine with the GPU
everything else     goes to `rowcast.engine.measuring.gpu`, with these packages beside it
"""

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.gpu_check.wheels import FOLDER, download, unpacked

ROOT = Path(__file__).resolve().parents[3]
MODULE = "rowcast.engine.measuring.gpu"
INTERPRETED = {"TRITON_INTERPRET": "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"}


def main(arguments: Sequence[str]) -> int:
    """Download, or run the checks; return their status."""
    parser = argparse.ArgumentParser(
        prog="gpu_check", add_help=not {"-h", "--help"}.intersection(arguments)
    )
    parser.add_argument("--pack", metavar="PYTHON", help="download wheels for it, such as 3.12")
    options, others = parser.parse_known_args(arguments)
    if options.pack:
        download(ROOT, options.pack)
        return 0
    command = [sys.executable, "-m", MODULE, *others]
    return subprocess.call(command, env=variables(others, dict(os.environ), ROOT))


def variables(others: Sequence[str], own: dict[str, str], root: Path) -> dict[str, str]:
    """Return the environment of the checks."""
    paths = [str(root / "inference-api"), *map(str, unpacked(root / FOLDER))]
    if own.get("PYTHONPATH"):
        paths.append(own["PYTHONPATH"])
    words = [word for each in others for word in each.split("=")]
    on_cpu = any(pair == ("--device", "cpu") for pair in itertools.pairwise(words))
    interpreted = INTERPRETED if on_cpu else {}
    return own | interpreted | {"PYTHONPATH": os.pathsep.join(paths)}
