"""Who may share prefixes: keys of teams, tokens and salts, and the secret of all processes."""

import stat
from pathlib import Path

import pytest

from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.prefix_keys import (
    NO_PREFIXES,
    NOBODY,
    VARIABLE,
    PrefixKeys,
    prefix_secret,
    secret_of_process,
)
from rowcast.settings import read_settings

TEAM, TOKEN = PrefixKeys(b"s" * 32, "team"), PrefixKeys(b"s" * 32, "token")
BLUE, RED, ANONYMOUS = Caller("blue", "t-1"), Caller("red", "t-1"), Caller()


def test_a_team_shares_whatever_its_tokens_are() -> None:
    assert TEAM.key(BLUE, "t-1") == TEAM.key(Caller("blue", "t-2"), "t-2") != NOBODY
    assert TEAM.key(BLUE, "t-1") != TEAM.key(RED, "t-1")


def test_a_salt_divides_a_team_and_never_joins_two() -> None:
    teams = [TEAM.key(caller, "", salt) for caller in (BLUE, RED, ANONYMOUS) for salt in ("", "a")]
    assert len(set(teams)) == len(teams)
    assert TEAM.key(BLUE, "", "a") == TEAM.key(BLUE, "", "a") != TEAM.key(BLUE, "", "b")


@pytest.mark.parametrize("salt", ["red", '", null, "', '["red", null, ""]', "red\0", "\\"])
def test_no_salt_gives_the_key_of_another_team(salt: str) -> None:
    others = {TEAM.key(Caller(team), "") for team in ("red", "", '", null, "', "blue" + salt)}
    assert TEAM.key(BLUE, "", salt) not in others


def test_tokens_of_a_team_share_only_with_themselves_if_that_is_the_scope() -> None:
    first, second = TOKEN.key(BLUE, "t-1"), TOKEN.key(Caller("blue", "t-2"), "t-2")
    assert len({first, second, TOKEN.key(RED, "t-1"), TEAM.key(BLUE, "t-1")}) == 4
    assert TOKEN.key(Caller("blue", "t-2"), "t-1") == first  # a stream that another token resumes


def test_callers_that_cannot_be_distinguished_share_with_nobody() -> None:
    assert TEAM.key(Caller(known=False), "") == NOBODY
    assert TEAM.key(Caller("blue", keeps=False), "") == TEAM.key(Caller("blue"), "") != NOBODY
    assert TOKEN.key(Caller("blue"), "") == NOBODY
    assert NO_PREFIXES.key(BLUE, "t-1") == NOBODY
    assert TOKEN.key(ANONYMOUS, "") != NOBODY  # without a proxy, there is one caller


def test_another_secret_gives_other_keys() -> None:
    assert PrefixKeys(b"o" * 32, "team").key(BLUE, "") != TEAM.key(BLUE, "")


@pytest.mark.parametrize(
    ("journal", "name"),
    [("new/journal-7000.db", "new/journal-7000.secret"), ("off", "folder/prefixes.secret")],
)
def test_the_secret_of_prefixes_on_disk_is_stored_for_its_owner_alone(
    tmp_path: Path, journal: str, name: str
) -> None:
    place = journal if journal == "off" else str(tmp_path / journal)
    settings = read_settings(journal=place, prefix_folder=tmp_path / "folder")
    secret = prefix_secret(settings)
    assert prefix_secret(settings) == secret
    stored = tmp_path / name
    assert [*stored.parent.iterdir()] == [stored]
    assert stored.read_text() == secret
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert len(bytes.fromhex(secret)) == 32


@pytest.mark.parametrize("content", ["", "ab", "no digits" * 20])
def test_a_file_that_is_no_secret_is_not_used(tmp_path: Path, content: str) -> None:
    settings = read_settings(journal=str(tmp_path / "journal.db"), prefix_folder=tmp_path)
    (tmp_path / "journal.secret").write_text(content)
    assert len(bytes.fromhex(prefix_secret(settings))) == 32


def test_each_start_has_another_secret_if_nothing_is_on_disk(tmp_path: Path) -> None:
    settings = read_settings(journal=str(tmp_path / "journal.db"))
    assert prefix_secret(settings) != prefix_secret(settings)
    assert [*tmp_path.iterdir()] == []


def test_each_start_has_another_secret_if_there_is_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = read_settings(
        journal=str(tmp_path / "file" / "journal.db"), prefix_folder=tmp_path / "file"
    )
    assert prefix_secret(settings) != prefix_secret(settings)


def test_processes_inherit_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "ab" * 32)
    assert secret_of_process() == b"\xab" * 32
    monkeypatch.delenv(VARIABLE)
    assert secret_of_process() != secret_of_process()
