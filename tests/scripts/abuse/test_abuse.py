"""`scripts/abuse` as a user runs it, on the scripted server: a hunt, and a finding sent again.

Covers `abuse/cli`, `watcher`, `roles`, `stand`.
"""

import json
from pathlib import Path

import pytest

from commands.abuse.attacks.facts import Facts
from commands.abuse.attacks.kinds import KINDS
from commands.abuse.attacks.shot import Attack
from commands.abuse.cli import main

SCRIPTED = Facts("scripted", 16384, 3857)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def run(folder: Path, *argv: str) -> tuple[int, dict[str, list[dict[str, object]]]]:
    out = folder / "report"
    usual = ("--model", "scripted", "--port", "7650", "--bound", "15", "--out", str(out))
    status = main([*usual, *argv], KINDS)
    return status, json.loads(out.with_suffix(".json").read_text())


def test_a_hunt_of_some_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ("--kind", "biases", "--kind", "resumed-raw", "--kind", "documents")
    status, fields = run(tmp_path, *kinds, "--seed", "5", "--only", "0", "--report-only")
    assert status == 0
    results = {str(each["kind"]): each for each in fields["results"]}
    assert [*results] == ["biases", "resumed-raw", "documents"]
    assert results["biases"]["answers"] == {
        "200": KINDS["biases"].attack(SCRIPTED, 5, 0).shots[0].copies
    }
    assert all(each["settled"] for each in fields["results"])
    assert all(each["died"] == [] for each in fields["results"])
    assert "| `biases` | 1 |" in capsys.readouterr().out


def test_an_attack_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "attack.json"
    KINDS["storm"].attack(SCRIPTED, 1, 0).save(file)
    status, fields = run(tmp_path, "--again", str(file), "--report-only")
    assert status == 0
    assert fields["results"][0]["kind"] == "storm"
    assert sum(fields["results"][0]["answers"].values()) == Attack.load(file).shots[0].copies  # type: ignore[attr-defined]
