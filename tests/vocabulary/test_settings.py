"""Settings: variables, flags, aliases; all errors at once; secrets that never show.

Covers `rowcast/settings`.
"""

import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from rowcast.settings import STORYTELLER, Settings, read_settings, settings_table


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove variables of the user who runs the tests."""
    for name in [*Settings.fields, "FALCON_40B_LOG_LEVEL_DEBUG"]:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def refused(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str] | None = None
) -> list[str]:
    """Return the lines with which settings are refused."""
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_the_defaults_are_the_promised_address_and_the_storyteller() -> None:
    settings = read_settings()
    assert (settings.host, settings.port, settings.served_model) == ("127.0.0.1", 7000, STORYTELLER)


def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "7001")
    assert read_settings().port == 7001


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert read_settings().port == 7000


def test_a_foreign_variable_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_settings()
    monkeypatch.setenv("ROWCAST_NO_SUCH_SETTING", "1")
    assert read_settings() == before


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_SECONDS", "1")
    assert read_settings(["--step-seconds", "0.5"]).step_seconds == 0.5


def test_a_variable_holds_where_no_flag_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "7001")
    assert read_settings(["--workers", "2"]).port == 7001


def test_without_arguments_the_command_line_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["gunicorn", "--port", "9999"])
    assert read_settings().port == 7000


def test_what_an_entry_fixes_wins_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_MODEL", "0")
    assert read_settings([], mock_model=True).mock_model


def test_the_mock_is_served_whatever_the_model_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "falcon")
    monkeypatch.setenv("MOCK_MODEL", "1")
    assert read_settings().served_model == "scripted"


def test_without_weights_it_is_one_layer_unless_a_model_is_named() -> None:
    assert read_settings(no_weights=True).served_model == "one-layer"
    assert read_settings(no_weights=True, model="scripted").served_model == "one-layer"
    assert read_settings(no_weights=True, model="storyteller").served_model == "storyteller"


@pytest.mark.parametrize("name", ["LOG_DEBUG", "FALCON_40B_LOG_LEVEL_DEBUG"])
def test_debug_logs_have_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert read_settings().level == "DEBUG"


def test_the_log_level_is_gunicorn_s_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "warning")
    assert read_settings().level == "WARNING"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("BODY_SECONDS", "0"),
        ("BODY_SECONDS", "nan"),
        ("BODY_BYTES", "1023"),
        ("WAITING_LINE", "-1"),
        ("STEP_SECONDS", "11"),
        ("MOCK_MODEL", "perhaps"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    (line,) = refused(capsys)
    assert line.startswith(f"rowcast: invalid setting {name}: ")


def test_all_faults_are_told_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("WORKERS", "none")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    named = [line.split()[3] for line in refused(capsys)]
    assert named == ["PORT:", "WORKERS:", "LOG_LEVEL:"]


def test_a_bad_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refused(capsys, ["--port", "http"])
    assert line.startswith("rowcast: invalid setting PORT: ")


def test_a_value_that_an_entry_fixes_goes_before_a_flag() -> None:
    assert read_settings(["--no-mock-model", "--port", "8"], mock_model=True).mock_model
    assert read_settings(["--port", "8"], port=9).port == 9


@pytest.mark.parametrize("flag", ["--no-weights", "--falcon-40b-pytorch-no-weights"])
def test_a_switch_whose_name_begins_with_no_is_switched_on(flag: str) -> None:
    assert read_settings([flag]).no_weights
    assert not read_settings([flag.replace("--", "--no-", 1)]).no_weights


def test_an_unknown_flag_ends_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--prot" in "".join(refused(capsys, ["--prot", "7000"]))


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(["--help"])
    assert not ended.value.code
    shown = capsys.readouterr().out
    missing = [n for n in Settings.fields if f"--{n.replace('_', '-')}" not in shown]
    assert missing == []


def test_the_secret_is_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_SECRET", "open sesame")
    settings = read_settings()
    assert settings.proxy_secret is not None
    assert settings.proxy_secret.get_secret_value() == "open sesame"
    assert "sesame" not in f"{settings!r} {settings} {settings.values()}"


def test_a_fault_beside_the_secret_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXY_SECRET", "open sesame")
    monkeypatch.setenv("PORT", "http")
    assert "sesame" not in "".join(refused(capsys))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(read_settings(), "port", 1)  # noqa: B010  # mypy knows that it is frozen


CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["0.0.0.0", "::1"]),
        "port": st.integers(1, 65535),
        "mock_model": st.booleans(),
        "log_debug": st.booleans(),
        "step_seconds": st.floats(0, 10),
        "backend_socket": st.none() | st.just("/tmp/backend.sock"),
        "body_seconds": st.floats(0.001, 86400),
        "proxy_secret": st.none() | st.text("abc=€ '\"", min_size=1, max_size=9),
        "log_level": st.sampled_from(["debug", "error"]),
    },
)


@pytest.mark.slow
@given(CHOSEN)
@bounded(deadline=None, derandomize=True, max_examples=60)
def test_another_process_reads_the_same_settings(chosen: dict[str, Any]) -> None:
    settings = read_settings(**chosen)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.environment().items():
            patch.setenv(name, value)
        assert read_settings() == settings


def test_only_what_was_chosen_is_handed_on() -> None:
    assert read_settings(["--port", "7001"]).environment() == {"PORT": "7001"}


def test_reading_changes_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "7001")
    before = dict(os.environ)
    read_settings(["--workers", "3"])
    assert dict(os.environ) == before


def test_the_table_has_a_row_a_setting_and_no_secret_default() -> None:
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(Settings.fields)
    assert "| `PORT` | `--port` | `7000` | Port to listen on. |" in rows
    assert any(row.startswith("| `LOG_DEBUG`, `FALCON_40B_LOG_LEVEL_DEBUG` |") for row in rows)
    assert "| `PROXY_SECRET` | `--proxy-secret` |  |" in settings_table()


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.fields.values())


@pytest.mark.parametrize(
    ("model", "name"),
    [("scripted", "scripted"), ("/models/tiny/", "tiny"), ("facebook/opt-125m", "opt-125m")],
)
def test_a_model_is_called_by_the_last_part_of_where_it_comes_from(model: str, name: str) -> None:
    assert read_settings(model=model).served_name == name


def test_a_model_may_be_given_another_name() -> None:
    assert read_settings(model="/models/tiny", model_name="house").served_name == "house"


@pytest.mark.parametrize(
    ("given", "names", "listed"),
    [
        ({"model": "scripted"}, {"scripted"}, ("scripted",)),
        (
            {"model": "facebook/opt-125m"},
            {"opt-125m", "facebook/opt-125m"},
            ("opt-125m", "facebook/opt-125m"),
        ),
        ({"model": "/models/tiny/"}, {"tiny", "/models/tiny", "/models/tiny/"}, ("tiny",)),
        ({"model": "./tiny"}, {"tiny", "./tiny"}, ("tiny",)),
        (
            {"model": "/models/tiny", "model_name": "our/house"},
            {"our/house", "house", "/models/tiny"},
            ("our/house",),
        ),
        ({"model": "a/b", "mock_model": True}, {"scripted"}, ("scripted",)),
    ],
)
def test_a_model_answers_to_its_name_its_last_part_and_where_it_comes_from(
    given: dict[str, Any], names: set[str], listed: tuple[str, ...]
) -> None:
    settings = read_settings(**given)
    assert set(settings.names) == names
    assert settings.names[0] == listed[0] == settings.served_name
    assert settings.listed_names == listed


@pytest.mark.parametrize("name", ["/a", "a/", "a//b", "a b", "a?b", "/"])
def test_a_name_has_no_empty_parts(name: str) -> None:
    with pytest.raises(SystemExit):
        read_settings(model_name=name)


@pytest.mark.parametrize(
    ("word", "meant"), [("bf16", "bfloat16"), ("fp32", "float32"), ("fp16", "float16")]
)
def test_short_names_of_dtypes_are_understood(
    word: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTYPE", word)
    assert read_settings().dtype == meant
    assert read_settings(["--dtype", word]).dtype == meant
    assert read_settings(dtype=word).environment()["DTYPE"] == meant
