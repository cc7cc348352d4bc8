"""docs/settings.md agrees with the code."""

from pathlib import Path

from rowcast.settings import settings_page

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_current() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page(), "run `make docs`"
