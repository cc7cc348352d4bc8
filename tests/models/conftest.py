"""The variables of the user who runs the tests are not settings of a test."""

import pytest

from rowcast.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.fields:
        monkeypatch.delenv(name.upper(), raising=False)
