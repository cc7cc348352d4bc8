"""Fixtures of the page's tests: Debian's Chromium, and a server that stores streams.

A test gets a tab of its own, with nothing stored in it. It fails if its tab has reported an error,
or sent a request to any other host.
"""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from page.tab import Tab
from processes import Running, running_server

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Open = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no Chromium here (none of {', '.join(NAMES)})")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def storing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of the scripted model that takes 10 ms per step and stores streams."""
    folder = tmp_path_factory.mktemp("page")
    env = {"STEP_SECONDS": "0.01", "JOURNAL": str(folder / "journal.db")}
    with running_server(folder, env=env) as running:
        yield running


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Open]:
    """Open a tab at this address; it is checked and closed with the test."""
    tabs: list[Tab] = []

    def open_tab(url: str, **context: Any) -> Tab:
        tabs.append(Tab.opened(browser, url, **context))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.close()


@pytest.fixture
def tab(open_tab: Open, storing_server: Running) -> Tab:
    """A tab with the page of the server that stores streams."""
    return open_tab(storing_server.url)
