"""T-06, T-24 and T-30: the variables that a container is started with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.asking import serves
from processes import Running, free_port, typed


def _environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables of T-30 and T-24, and a missing model that only the mock accepts."""
    return {
        "PORT": str(free_port()),
        "MOCK_MODEL": "1",
        "MODEL": "/a/model/that/is/not/there",
        "MODEL_WEKA_DIR": str(tmp_path / "local_weka_mock"),
        "JWT_SECRET": "test-secret-456",
        "FALCON_40B_LOG_LEVEL_DEBUG": "1",
    }


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("container")
    env = _environment(folder)
    command = "gunicorn --config gunicorn.conf.py"
    with typed(command, int(env["PORT"]), folder / "log", env=env) as running:
        yield running


@pytest.mark.slow
def test_t06_model_weka_dir_may_be_given_and_need_not_exist(container: Running) -> None:
    assert serves(container.port)


def test_t24_falcon_40b_log_level_debug_makes_debug_logs(
    container: Running, server: Running
) -> None:
    assert serves(container.port)
    assert "[DEBUG]" in container.output()
    assert "[DEBUG]" not in server.output()


@pytest.mark.slow
def test_t30_mock_model_serves_without_any_model(container: Running) -> None:
    assert container.health()["model"] == "scripted"
    assert serves(container.port)
    assert "test-secret-456" not in container.output()
