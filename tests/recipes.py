"""The commands behind the targets of the Makefile, as tests run them: with this Python."""

import shlex
import subprocess
import sys

from processes import ROOT


def recipe(target: str, *variables: str) -> str:
    """Return the last command of a target; what it needs before is installed already."""
    done = subprocess.run(
        ("make", "--no-print-directory", "-n", target, *variables),
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    last = done.stdout.replace("\\\n", " ").splitlines()[-1]
    return last.replace(".venv/bin/python", shlex.quote(sys.executable))
