"""Flags: texts and switches, under all names, and --help."""

import argparse

import pytest

from rowcast_settings.fields import BaseSettings, optional, required, setting
from rowcast_settings.flags import read_flags
from rowcast_settings.kinds import Switch, Text, Whole
from rowcast_settings.secret import SecretText


class Example(BaseSettings):
    key = required(SecretText(), "The key.", "Choose one")
    port_number = setting(Whole(1, 9), 7, "The port, 80 % of the time.", "OLD_PORT")
    name = optional(Text(), "The name.")
    no_log = setting(Switch(), False, "No output.", "QUIET")


def flags(*arguments: str) -> dict[str, object]:
    return read_flags(argparse.ArgumentParser(allow_abbrev=False), Example.fields, arguments)


def test_only_given_flags_are_found() -> None:
    assert flags() == {}
    assert flags("--port-number", "x", "--name=a b") == {"port_number": "x", "name": "a b"}
    assert flags("--old-port", "1", "--port-number", "2") == {"port_number": "2"}
    assert flags("--name", "") == {}


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--no-log", True), ("--no-no-log", False), ("--quiet", True), ("--no-quiet", False)],
)
def test_a_switch_has_an_opposite(flag: str, value: bool) -> None:
    assert flags(flag) == {"no_log": value}


@pytest.mark.parametrize("wrong", ["--nam", "--port_number", "x", "--name", "--quiet=1"])
def test_a_wrong_flag_ends_with_status_2(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flags(wrong)
    assert ended.value.code == 2
    assert wrong.partition("=")[0] in capsys.readouterr().err


def test_help_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flags("--help")
    assert not ended.value.code
    shown = " ".join(capsys.readouterr().out.split())
    assert "--key str The key. (required)" in shown
    assert "--port-number int, --old-port int The port, 80 % of the time. (default: 7)" in shown
    assert "--name str The name. (default: none)" in shown
    assert "--no-log, --quiet, --no-no-log, --no-quiet No output. (default: False)" in shown
