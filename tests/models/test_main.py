"""`python -m rowcast.models`: what a file of models would serve, or its faults.

Covers `models/__main__`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_catalogs import folder, written
from processes import ROOT
from rowcast.models.__main__ import main, sized


def test_a_line_per_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = folder(tmp_path / "tiny", b"x" * 2048)
    file = written(tmp_path / "m.json", {"vicuna_q2": "./tiny", "b": "scripted", "c": "x/y"})
    assert main([str(file)]) == 0
    head, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["name", "from", "load", "weights"]
    assert rows == [
        ["vicuna_q2", str(tiny), "start", "2", "KiB"],
        ["b", "scripted", "lazy", "-"],
        ["c", "x/y", "lazy", "-"],
    ]


def test_the_file_is_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELS", str(written(tmp_path / "m.json", {"house": "scripted"})))
    assert main([]) == 0
    assert "house" in capsys.readouterr().out


def test_without_a_file_it_is_the_one_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("storyteller  ")


def test_faults_end_with_status_2(tmp_path: Path) -> None:
    file = written(tmp_path / "m.json", {"a": 7, "b": {"model": "scripted", "dtpye": "int8"}})
    done = subprocess.run(
        [sys.executable, "-m", "rowcast.models", str(file)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == [f"{file}:2:", f"{file}:5:"]


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["--no"], 2), (["a", "b"], 2)])
def test_help_and_wrong_arguments_print_the_usage(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == status
    assert "python -m rowcast.models [FILE]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (2048, "2 KiB"), (3 << 20, "3 MiB"), (5 << 29, "2.5 GiB")]
)
def test_sizes_have_units(size: int, text: str) -> None:
    assert sized(size) == text
