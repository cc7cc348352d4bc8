"""The server against its own documents: schemathesis, every operation, wild and tame requests.

Here some 3,600 requests; `python tests/documents/test_schemathesis.py --examples 1000` sends as
many as wanted. Nothing may be answered with 5xx, nothing may differ from its schema, and no row may
be left behind.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from processes import Running, running_server, until

HERE = Path(__file__).resolve().parent
EXAMPLES = 30  # an operation; about 3,600 requests in all
REPORT = re.compile(r"(\d+) generated")


def run(server: Running, examples: int, seconds: float) -> str:
    """One run of schemathesis; its report. Fails when it has found anything."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{server.url}/openapi.json",
        "--checks=all",
        "--phases=examples,coverage,fuzzing",
        f"--max-examples={examples}",
        "--workers=1",  # its threads share what is not safe to share
        "--seed=1",
        "--request-timeout=60",
        "--no-color",
    ]
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": folder},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    assert shown.returncode == 0, shown.stdout[-20_000:] + shown.stderr[-2000:]
    return shown.stdout


def rows_are_free(server: Running) -> bool:
    return server.rows_seated() == 0 and server.waiting() == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_server_does_what_its_documents_say(tmp_path: Path) -> None:
    with running_server(tmp_path, env={"LOG_LEVEL": "warning"}) as server:
        report = run(server, EXAMPLES, 800)
        generated = REPORT.search(report)
        assert generated is not None
        assert int(generated[1]) > 2000
        until(lambda: rows_are_free(server), "every row is free")
        assert "unexpected error" not in server.output()


def main() -> None:
    """A run of any size, with its report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--examples", type=int, default=1000, help="an operation and phase")
    examples = options.parse_args().examples
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), env={"LOG_LEVEL": "warning"}) as server,
    ):
        sys.stdout.write(run(server, examples, 7200))
        until(lambda: rows_are_free(server), "every row is free")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
