"""T-20 to T-23, T-31 to T-34: images, Compose, clean-up, and configuration by environment only."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from processes import ROOT
from rowcast.settings import Settings, read_settings, settings_table
from rowcast_proxy.settings import ProxySettings
from rowcast_settings.fields import Field

COMPOSE = ROOT / "docker-compose.yml"


def _instructions(name: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / name).read_text())
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return [(pair[0].upper(), " ".join(pair[1:])) for pair in pairs]


def _arguments(name: str, instruction: str) -> list[str]:
    return [argument for kind, argument in _instructions(name) if kind == instruction]


def _service(name: str) -> str:
    """Return one service's lines of the Compose file."""
    found = re.search(
        rf"^  {name}:\n((?:(?:    .*)?\n)+)", COMPOSE.read_text() + "\n", re.MULTILINE
    )
    assert found, f"docker-compose.yml has no service {name}"
    return found[1]


def test_t20_make_clean_removes_caches_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = [tmp_path / "models" / "weights", tmp_path / "README.md"]
    caches = [tmp_path / name / "x" for name in (".pytest_cache", ".mypy_cache", ".ruff_cache")]
    caches.append(tmp_path / "tests" / "__pycache__" / "x.pyc")
    for path in (*kept, *caches):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert all(path.exists() for path in kept)
    assert not [path for path in caches if path.exists()]


def test_t21_the_image_is_built_from_dockerfile() -> None:
    (base, *_) = _arguments("Dockerfile", "FROM")
    assert base.startswith("python:3.1")
    assert any("requirements.txt" in run for run in _arguments("Dockerfile", "RUN"))
    assert _arguments("Dockerfile", "CMD") or _arguments("Dockerfile", "ENTRYPOINT")


def test_t22_the_local_image_is_built_from_dockerfile_local() -> None:
    (base, *_) = _arguments("Dockerfile-local", "FROM")
    assert base.startswith(("python:3.1", "rowcast", "${"))
    assert "--platform" not in base


def test_t23_the_public_port_of_the_image_is_1223() -> None:
    exposed = " ".join(_arguments("Dockerfile", "EXPOSE")).split()
    assert exposed == ["1223"]
    assert "hf_cache" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile-local"])
def test_t23_no_secret_is_baked_into_an_image(name: str) -> None:
    settings = " ".join(_arguments(name, "ENV") + _arguments(name, "ARG"))
    assert "SECRET" not in settings


def test_t31_the_local_container_serves_the_mock() -> None:
    text = (ROOT / "Dockerfile-local").read_text()
    assert "MOCK_MODEL" in text or "_mock_inference_api_server" in text


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile-local"])
def test_t32_the_images_have_a_shell(name: str) -> None:
    (base, *_) = _arguments(name, "FROM")
    assert not re.search("distroless|scratch|alpine", base)  # Debian's images include bash


def test_t33_compose_starts_server_and_proxy_and_publishes_the_proxy_alone() -> None:
    server, proxy = _service("server"), _service("proxy")
    assert "1223" in proxy
    assert re.search(r"^    ports:", proxy, re.MULTILINE)
    assert not re.search(r"^    ports:", server, re.MULTILINE)
    for variable in ("JWT_SECRET", "PROXY_SECRET"):
        assert variable in proxy
    assert "build:" in COMPOSE.read_text(), "`docker-compose up --build` has something to build"


def _example(field: Field[Any]) -> str:
    """Return a value other than the default, as an environment holds it."""
    default: Any = field.default
    if isinstance(default, bool):
        return str(int(not default))
    if isinstance(default, float) and default:
        return str(default / 2)
    if isinstance(default, int | float):
        return str(default + 1)
    return "debug" if default == "info" else ""


@pytest.mark.parametrize("name", [n for n, f in Settings.fields.items() if _example(f)])
def test_t34_the_server_is_configured_by_environment_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Settings.fields[name]
    monkeypatch.setenv(name.upper(), _example(field))
    assert getattr(read_settings(), name) != field.default
    assert f"`{name.upper()}`" in settings_table()


@pytest.mark.parametrize("name", [n for n, f in ProxySettings.fields.items() if _example(f)])
def test_t34_the_proxy_is_configured_by_environment_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = ProxySettings.fields[name]
    monkeypatch.setenv("JWT_SECRET", "needed")
    monkeypatch.setenv(name.upper(), _example(field))
    assert getattr(ProxySettings.load([]), name) != field.default
