"""`scripts/bench_peers` as a user runs it: commands, small real servers, and the output.

Covers `bench_peers/cli`, `installation`, `bench_peers/options`, `peer`, `bench_peers/report`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from commands.bench.dialects import DIALECTS
from commands.bench_peers import cli
from commands.bench_peers.installation import Installation
from commands.bench_peers.peer import Peer, Plan, Setting

PROGRAM = Path(__file__).with_name("peer_program.py")
SMALL = ("--model", "tiny", "--prompt-tokens", "24", "--reply-tokens", "8")


class Fake(Peer):
    """A peer whose precisions are kinds of misbehaviour."""

    name: ClassVar[str] = "fake"
    version: ClassVar[str] = "1.0"
    precisions: ClassVar[tuple[str, ...]] = ("good", "short", "broken", "inside", "refused")

    def install(self, installation: Installation) -> None:
        installation.run([sys.executable, "-c", "print('built')"])

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:
        assert (setting.model / "model.safetensors").is_file()
        flags = {"short": ["--short", "2"], "broken": ["--broken"], "inside": ["--inside"]}
        inside = precision in {"inside", "refused"}
        return Plan(
            command=(
                *(sys.executable, str(PROGRAM), "--port", str(port)),
                *flags.get(precision, []),
            ),
            ready="/health",
            dialect=None if inside else DIALECTS["openai"],
        )


class Narrow(Fake):
    """Fails to install; measured with few streams."""

    name: ClassVar[str] = "narrow"
    most_streams: ClassVar[int] = 2

    def install(self, installation: Installation) -> None:
        installation.run([sys.executable, "-c", "raise SystemExit('no compiler')"])

    def check(self, installation: Installation) -> None:
        pass


PEERS: Mapping[str, Peer] = {"fake": Fake(), "narrow": Narrow()}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rowcast" / "peers"


def peers(*arguments: str) -> int:
    return cli.main(arguments, PEERS)


def run(*arguments: str) -> int:
    return peers("run", *arguments, *SMALL)


@pytest.fixture
def installed() -> None:
    assert peers("install", "fake") == 0


@pytest.mark.slow
def test_what_is_not_installed_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fake:good", "narrow:good", "--streams", "1", "--rounds", "1") == 1
    shown = capsys.readouterr().out
    assert "fake:good: fake: nothing is installed, want 1.0; run: scripts/bench_peers" in shown
    assert "narrow:good  " in shown


def test_installing_says_where_it_stands(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert peers("list") == 0
    assert "fake           1.0            not installed" in capsys.readouterr().out
    assert peers("install", "fake") == 0
    assert "built" in (cache / "fake" / "install.log").read_text()
    assert peers("list") == 0
    assert "fake           1.0            ready" in capsys.readouterr().out


def test_a_failed_step_is_shown(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert peers("install", "narrow") == 1
    assert "no compiler" in capsys.readouterr().err
    assert not (cache / "narrow" / "installed").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_contestants_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.json"
    contestants = ("fake:good", "fake:inside", "narrow:good")
    assert run(*contestants, "--streams", "1,4", "--rounds", "2", "--json", str(file)) == 0
    report = json.loads(file.read_text())
    turns = [(each["round"], each["streams"], each["label"]) for each in report["bursts"]]
    once = [(1, "fake:good"), (1, "fake:inside"), (1, "narrow:good")]
    once += [(4, "fake:good"), (4, "fake:inside")]
    assert turns == [(number, *turn) for number in (1, 2) for turn in once]
    assert {each["fault"] for each in report["bursts"]} == {None}
    assert [each["summary"]["tokens"] for each in report["bursts"][:4]] == [8, 8, 8, 32]
    assert all(each["memory"]["pss_mb"] > 1 for each in report["bursts"])
    scores = {(each["label"], each["streams"]): each for each in report["scores"]}
    assert scores["fake:good", 4]["lead"] == 1
    assert scores["fake:inside", 1]["gap_p50"] == pytest.approx(0.01)
    assert report["contestants"]["fake:good"]["version"] == "1.0"
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:7]] == [label for _, label in once]


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_replies_of_another_length_are_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fake:short", "--streams", "2", "--rounds", "1") == 1
    shown = capsys.readouterr().out
    assert "fake:short (faulty)" in shown
    assert "fake:short, 2 streams: a reply had 6 tokens, not 8" in shown


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_what_does_not_start_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fake:good", "fake:broken", "--streams", "1", "--rounds", "1") == 1
    shown = capsys.readouterr().out
    assert "fake:broken: fake:broken: ended with 1" in shown
    assert "no such weights" in shown
    assert "fake:good (faulty)" not in shown


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_an_engine_that_fails_says_why_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fake:refused", "--streams", "1", "--rounds", "1") == 1
    assert "fake:refused, 1 streams: out of memory\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "nobody:bf16"], "no peer 'nobody'; known: fake, narrow"),
        (["run", "fake"], "'fake' is not a known precision of fake; known: fake:good,"),
        (["run", "fake:good", "fake:good"], "a contestant is named twice"),
        (["run", "fake:good", "--streams", "1,64"], "at most 32 streams"),
        (["run", "fake:good", "--rounds", "0"], "'0' is not a whole number of at least 1"),
        (["run", "fake:good", "--model", "tiny", "--reply-tokens", "200"], "need 328 positions"),
        (["install", "nobody"], "invalid choice: 'nobody'"),
        ([], "COMMAND"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments, PEERS)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["run"]])
def test_help_fits_a_screen(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command, "--help"], PEERS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 98
