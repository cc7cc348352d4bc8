"""Runs the tests of this folder where Triton is, in a process of their own.

python tests/engine/kernels/gpu/run.py [ARGUMENTS OF PYTEST …]

If this environment has no Triton (the CPU's torch brings none, and torch and transformers import it
where it is), it makes one in .rowcast/kernels that adds Triton to this environment's packages.
"""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
FOLDER = ROOT / ".rowcast" / "kernels"
TRITON = "triton==3.7.1"  # the version that torch==2.13.0 for CUDA asks for
SECONDS = 1800


def environment() -> Path:
    """Return a Python that has Triton; install it if there is none."""
    if importlib.util.find_spec("triton") is not None:
        return Path(sys.executable)
    python = FOLDER / "bin" / "python"
    if not (FOLDER / TRITON).exists():
        venv.create(FOLDER, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", TRITON]
        subprocess.run(install, check=True, timeout=SECONDS)
        packages = subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.strip()
        (Path(packages) / "rowcast.pth").write_text(sysconfig.get_path("purelib") + "\n")
        (FOLDER / TRITON).touch()
    return python


def main() -> None:
    """Run pytest in that environment, and end with its status."""
    python = environment()
    os.chdir(ROOT)
    arguments = [str(HERE.relative_to(ROOT)), *sys.argv[1:]]
    os.execv(python, [str(python), "-m", "pytest", *arguments])


if __name__ == "__main__":
    main()
