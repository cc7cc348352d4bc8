"""N-11: a reply on the page goes on with the same bytes, whatever happens, and the page says what.

The text that the browser stores must equal that of a stream that nobody disturbed.
"""

import pytest
import requests

from page.conftest import Open
from page.tab import Tab
from processes import Running, running_server, until
from scripted_replies import long_reply, scripted_reply

pytestmark = pytest.mark.slow

TEXT = "Tell me a long story"
TOKENS = 600  # many more than are computed while a test looks at the page
ENDLESS = 2500  # of a reply that is stopped
PROMPT = f"user: {TEXT}\nassistant:"


@pytest.fixture(scope="module")
def seed() -> int:
    return long_reply(PROMPT, TOKENS, at_least=TOKENS)


@pytest.fixture(scope="module")
def endless() -> int:
    """The seed of a reply that ends when it is stopped."""
    return long_reply(PROMPT, ENDLESS, at_least=ENDLESS)


def begin(tab: Tab, seed: int, tokens: int = TOKENS) -> None:
    """Send the message, and wait for a part of the reply."""
    tab.limit(tokens, seed)
    tab.send(TEXT)
    tab.await_tokens(60)


def check(tab: Tab, seed: int, note: str) -> None:
    """Check the bytes, and what the page reports."""
    reply = tab.reply()
    assert reply["state"] == "done", reply
    assert reply["text"] == scripted_reply(PROMPT, seed, TOKENS).text
    assert [each for each in tab.notes() if note in each], tab.notes()


def test_a_reload_in_the_middle(tab: Tab, seed: int) -> None:
    begin(tab, seed)
    tab.page.reload()
    tab.ready()
    tab.await_tokens(60)
    tab.page.reload()
    tab.ready()
    check(tab, seed, "Page reloaded; continued at token")


def test_a_killed_decoder(tab: Tab, storing_server: Running, seed: int) -> None:
    backend = storing_server.backend()
    begin(tab, seed)
    backend.kill()
    check(tab, seed, "The decoder was replaced; continued at token")


def test_a_lost_network(tab: Tab, seed: int) -> None:
    begin(tab, seed)
    tab.context.set_offline(True)
    tab.last.get_by_text("Trying again").wait_for()
    tab.context.set_offline(False)
    check(tab, seed, "Connection lost; continued at token")
    tab.errors.clear()  # the browser reports each request that found no network


def test_a_killed_worker(tab: Tab, storing_server: Running, seed: int) -> None:
    worker = storing_server.worker()
    begin(tab, seed)
    worker.kill()
    check(tab, seed, "Connection lost; continued at token")
    tab.errors.clear()  # the browser reports the connection that was cut


def test_without_a_journal_it_is_computed_again(
    open_tab: Open, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("forgetful")
    env = {"STEP_SECONDS": "0.01", "JOURNAL": "off"}
    with running_server(folder, env=env) as server:
        tab = open_tab(server.url)
        begin(tab, seed)
        tab.page.reload()
        tab.ready()
        check(tab, seed, "computed again with the same seed, and continued at token")
        tab.close()


def test_a_stopped_reply_frees_its_row(tab: Tab, storing_server: Running, endless: int) -> None:
    until(lambda: storing_server.rows_seated() == 0, "all rows are free")
    begin(tab, endless, ENDLESS)
    until(lambda: storing_server.rows_seated() == 1, "it is seated")
    tab.page.get_by_role("button", name="Stop", exact=True).click()
    until(lambda: storing_server.rows_seated() == 0, "its row is free")
    reply = tab.reply()
    assert reply["state"] == "stopped"
    assert scripted_reply(PROMPT, endless, ENDLESS).text.startswith(reply["text"])
    assert "stopped" in tab.last.locator(".facts").inner_text()
    stream = f"{tab.url}/v1/streams/{reply['stream']}"
    assert requests.get(stream, timeout=10).status_code == 410


def test_two_tabs_of_one_conversation_do_not_cut_each_other(tab: Tab, endless: int) -> None:
    begin(tab, endless, ENDLESS)
    other = tab.context.new_page()
    other.goto(tab.url)
    other.get_by_role("button", name=TEXT, exact=True).click()
    other.get_by_role("article").get_by_text("This reply is streaming in another tab").wait_for()
    tab.await_tokens(tab.tokens() + 50)  # it goes on
    tab.page.get_by_role("button", name="Stop", exact=True).click()
    reply = tab.reply()
    assert scripted_reply(PROMPT, endless, ENDLESS).text.startswith(reply["text"])
    other.locator('article.assistant[aria-busy="false"]').wait_for()
    assert other.locator(".facts").inner_text() == tab.last.locator(".facts").inner_text()
    assert tab.notes() == []
    other.close()
