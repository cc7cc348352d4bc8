"""The server against its own documents: schemathesis, every operation, valid and invalid requests.

`make test-api ARGS='--cases 50000'` sends as many as requested: first all phases (examples,
coverage, fuzzing, stateful), then rounds of the last two with other seeds. No answer may be a 5xx
or differ from its schema, and no row may be left occupied.

An operation at several paths has its examples at each. What is generated is sent to one of them; in
`LONG=1 make test` and `make test-api` to all.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processes import ROOT, Running, running_server, until
from sizes import LONG, often

HERE = Path(__file__).resolve().parent
HOOKS = {
    "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
    "PYTHONPATH": str(ROOT / "inference-api"),
}
STATEFUL = "stateful"  # separate, since it reads the documents a little differently
EXAMPLES, GENERATED = "examples", "coverage,fuzzing"
ALL = (EXAMPLES, GENERATED, STATEFUL)
MORE = ("fuzzing", STATEFUL)
CASES_EACH = 60  # per operation; many small rounds are faster than few large ones
GENERATED_EACH = often(15, CASES_EACH)
CASES = 5000
SLOW = 60  # seconds; one request may ask for a thousand replies
LINKS = re.compile(r"API Links: +(\d+) covered")
COUNT = re.compile(r"(\d+) generated")


def run(
    server: Running,
    rounds: Iterable[str],
    seed: int,
    seconds: float,
    *,
    everywhere: bool = True,
) -> tuple[int, str]:
    """Run schemathesis for each round; return the request count and the reports.

    Fail on any finding. `everywhere`: send what is generated to each path of an operation.
    """
    again = [] if everywhere else further_paths(server)
    ran = [
        run_once(server, phases, seed, seconds, again if phases == GENERATED else [])
        for phases in rounds
    ]
    return sum(sent for sent, _ in ran), "\n".join(report for _, report in ran)


def further_paths(server: Running) -> list[str]:
    """Return the paths at which an operation is served once more, described in the same words."""
    paths: dict[str, list[str]] = defaultdict(list)
    for path, operations in json.loads(server.get("/openapi.json")[1])["paths"].items():
        same = {name: each | {"operationId": ""} for name, each in operations.items()}
        paths[json.dumps(same, sort_keys=True)].append(path)
    return [path for found in paths.values() for path in sorted(found)[:-1]]


def run_once(
    server: Running, phases: str, seed: int, seconds: float, left_out: Iterable[str]
) -> tuple[int, str]:
    """Run schemathesis once."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{server.url}/openapi.json",
        "--checks=all",
        f"--phases={phases}",
        *(f"--exclude-path={path}" for path in left_out),
        f"--max-examples={GENERATED_EACH if phases == GENERATED else CASES_EACH}",
        "--workers=1",  # its threads share unsafe state
        f"--seed={seed}",
        f"--request-timeout={SLOW}",
        f"--max-response-time={SLOW}",
        "--no-color",
    ]
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | HOOKS | {"HYPOTHESIS_STORAGE_DIRECTORY": folder, "PHASES": phases},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    assert shown.returncode == 0, shown.stdout[-20_000:] + shown.stderr[-2000:]
    generated = COUNT.search(shown.stdout)
    assert generated is not None, shown.stdout
    return int(generated[1]), shown.stdout


@contextmanager
def tried(folder: Path) -> Iterator[Running]:
    """A server that keeps streams; at the end all its rows must be free, and its log clean."""
    env = {"LOG_LEVEL": "warning", "JOURNAL": str(folder / "journal.db")}
    with running_server(folder, env=env) as server:
        yield server
        until(lambda: server.rows_seated() == 0 and server.waiting() == 0, "every row is free")
        assert "unexpected error" not in server.output()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_server_does_what_its_documents_say(tmp_path: Path) -> None:
    with tried(tmp_path) as server:
        sent, report = run(server, ALL, 1, 800, everywhere=LONG)
        assert sent > CASES, report
        covered = LINKS.search(report)
        assert covered is not None
        assert int(covered[1]) >= 7, report  # from any dialect's reply to its stream


def main() -> None:
    """Run the requested number of cases, and print a line per round."""
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    options.add_argument("--cases", type=int, default=50_000, help="at least so many requests")
    options.add_argument("--seed", type=int, default=1, help="of the first round")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, tried(Path(folder)) as server:
        total, seed = 0, asked.seed
        while total < asked.cases:
            sent, report = run(server, MORE if total else ALL, seed, 3600)
            if not total:
                print(report)
            total, seed = total + sent, seed + 1
            print(f"seed {seed - 1}: {sent} cases, no fault; {total} in all", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
