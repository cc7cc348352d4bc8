"""P-12, P-13, P-20, P-28, F-01: the page, its files, and what its users can do on it."""

import pytest
import requests

from contract.asking import get
from page.conftest import browser, open_tab, storing_server, tab  # noqa: F401
from page.tab import SEED, Tab, undisturbed
from processes import ROOT, Running

FILES = ("templates/index.html", "static/main.css", "static/main.js")
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_p28_the_page_is_made_of_these_files(server: Running) -> None:
    page, style, script = (ROOT / name for name in FILES)
    assert requests.get(server.url, headers=BROWSER, timeout=10).text == page.read_text()
    for file in (style, script):
        sent = requests.get(f"{server.url}/static/{file.name}", timeout=10)
        assert sent.text == file.read_text()


def test_p20_the_root_is_a_home_page_for_browsers_and_health_for_programs(server: Running) -> None:
    page = requests.get(server.url, headers=BROWSER, timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Send Message" in page.text
    assert get(server.port, "/").json()["status"] == "ready"


@pytest.mark.slow
def test_p12_a_message_is_sent_and_answered_on_the_same_page(tab: Tab) -> None:  # noqa: F811
    tab.limit(40)
    tab.page.get_by_role("textbox", name="Message").fill("Hello")
    tab.page.get_by_role("button", name="Send Message").click()
    reply = tab.reply()
    tokens = reply["usage"]["completion_tokens"]
    assert reply["text"] == undisturbed(tab.url, "Hello", reply["seed"], tokens)
    assert tab.page.url == f"{tab.url}/"


@pytest.mark.slow
def test_f01_models_are_managed_and_used_on_the_page(tab: Tab) -> None:  # noqa: F811
    tab.page.get_by_role("link", name="Server", exact=True).click()
    models = tab.page.get_by_role("region", name="Models")
    models.get_by_role("button", name="Unload scripted").click()
    models.get_by_text("not loaded").wait_for()
    models.get_by_role("button", name="Load scripted").click()
    models.get_by_text("ready").wait_for()
    tab.page.get_by_role("link", name="Talk").click()
    tab.limit(20)
    tab.send("Hello")
    assert tab.reply()["state"] == "done"
    tab.errors.clear()  # the browser reports the health of a server without a model


@pytest.mark.slow
def test_p13_the_page_submits_a_task_polls_and_shows_it(tab: Tab) -> None:  # noqa: F811
    tab.page.get_by_role("link", name="Tasks", exact=True).click()
    tab.page.get_by_text("No tasks yet").wait_for()
    tab.rewrite("**/send_text", seed=SEED, max_tokens=20)
    tab.page.get_by_label("Prompt", exact=True).fill("Hello, <b>task</b>")
    tab.page.get_by_role("button", name="Submit task").click()
    tab.page.get_by_text("finished").wait_for()
    assert any("/poll_task_status/" in each for each in tab.requests)
    tab.page.get_by_role("button", name="Show result").click()
    assert tab.page.get_by_role("region", name="Result").inner_text().strip()
    tab.page.get_by_role("button", name="Delete").click()
    tab.page.get_by_text("No tasks yet").wait_for()
