"""`local.env`: variables beside the file of models, for settings that nothing else sets."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from rowcast.models.local_env import BYTES, InvalidVariables, read_variables
from rowcast.settings import Settings, read_settings


def variables(path: Path, text: str | bytes) -> dict[str, str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_variables(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b c ", "b c"),
        ("export A=b", "b"),
        ("A=", ""),
        ("A=b # note", "b"),
        ("A=b#c", "b#c"),
        ("A=# note", ""),
        ('A="b # c"  # note', "b # c"),
        ("A='b \"c\"'", 'b "c"'),
        ('A=""', ""),
        ("A=$HOME `id`", "$HOME `id`"),
        ("A=b=c", "b=c"),
    ],
)
def test_a_line_is_a_variable(tmp_path: Path, line: str, value: str) -> None:
    assert variables(tmp_path / "local.env", line) == {"A": value}


def test_comments_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    text = "\ufeff# note\n\n  # note\r\nA=1\r\nB=2\nA=3"
    assert variables(tmp_path / "local.env", text) == {"A": "3", "B": "2"}


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read_variables(tmp_path / "local.env") == {}


@pytest.mark.parametrize("line", ["A", "A b=c", "7=x", 'A="b', "A='b' c", "=b", "A: b"])
def test_a_mistake_is_reported_with_its_line_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidVariables) as raised:
        variables(tmp_path / "local.env", f"OK=1\n{line}")
    assert str(raised.value) == f'{tmp_path}/local.env:2: is not NAME=VALUE or NAME="VALUE"'


def test_a_file_that_is_not_a_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidVariables, match="is not UTF-8"):
        variables(tmp_path / "local.env", b"A=\xff")
    with pytest.raises(InvalidVariables, match="has more than"):
        variables(tmp_path / "local.env", "#" * (BYTES + 1))
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidVariables, match="cannot be read: Is a directory"):
        read_variables(tmp_path / "folder")


@given(st.text(max_size=60))
@bounded(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_variables_or_an_error(tmp_path: Path, text: str) -> None:
    try:
        found = variables(tmp_path / "local.env", text.encode(errors="replace"))
    except InvalidVariables:
        return
    assert all(name.isidentifier() for name in found)


# As settings.


@pytest.fixture
def models(tmp_path: Path) -> str:
    """The path of a file of models, with variables beside it."""
    (tmp_path / "local.env").write_text(
        'PORT=7001\nPROXY_SECRET="open sesame"\nMODEL_WEKA_DIR=/there\nWORKERS=\nJWT_SECRET=x\n'
    )
    return str(tmp_path / "models.json")


def test_its_variables_are_settings(models: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", models)
    settings = read_settings()
    assert (settings.port, settings.model_root, settings.workers) == (7001, Path("/there"), 1)
    assert settings.proxy_secret is not None
    assert settings.proxy_secret.get_secret_value() == "open sesame"
    assert "sesame" not in repr(settings)


def test_a_flag_may_name_the_file_of_models(models: str) -> None:
    assert read_settings(["--models", models]).port == 7001
    assert read_settings(models=models).port == 7001


def test_without_a_file_of_models_nothing_is_read(
    models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(models).parent)
    assert read_settings().port == 7000


def test_the_environment_and_flags_take_precedence_over_it(
    models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "7002")
    monkeypatch.setenv("MODEL_ROOT", "/here")  # the other name of MODEL_WEKA_DIR
    settings = read_settings(models=models)
    assert (settings.port, settings.model_root) == (7002, Path("/here"))
    assert read_settings(["--models", models, "--port", "7003"]).port == 7003


def test_a_value_of_it_is_checked(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(models).with_name("local.env").write_text("PORT=http\nWORKERS=none\n")
    with pytest.raises(SystemExit):
        read_settings(models=models)
    shown = capsys.readouterr().err.splitlines()
    assert [line.split()[3] for line in shown] == ["PORT:", "WORKERS:"]


def test_a_mistake_in_it_ends_the_start(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    local = Path(models).with_name("local.env")
    local.write_text("secret sesame\n")
    with pytest.raises(SystemExit) as ended:
        read_settings(models=models)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"rowcast: invalid setting {local}:1: ")
    assert "sesame" not in shown


def test_other_processes_get_the_values_and_do_not_read_it_again(
    models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(models=models)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    Path(models).with_name("local.env").write_text("PORT=http\nWORKERS=2\n")
    assert read_settings() == settings


def test_every_setting_can_be_in_it(tmp_path: Path) -> None:
    (tmp_path / "local.env").write_text("DTYPE=bf16\nLOG_DEBUG=1\nFALCON_40B_2LAYER=1\n")
    settings: Settings = read_settings(models=tmp_path / "models.json")
    assert (settings.dtype, settings.log_debug, settings.two_layers) == ("bfloat16", True, True)
