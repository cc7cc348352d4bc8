"""Behind the proxy: a token is taken from the address or pasted, and a team sees its own only."""

from collections.abc import Iterator

import pytest

from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from page.conftest import Open
from page.tab import Tab
from processes import Running, running_proxy, running_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("teams")
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    storing = {"STEP_SECONDS": "0.01", "JOURNAL": str(folder / "journal.db")}
    with (
        running_server(folder, env=secrets | storing) as server,
        running_proxy(folder, server, env=secrets) as running,
    ):
        yield running


def token(team: str) -> str:
    return encoded(f'{{"team_id": "{team}", "token_id": "page"}}')


def test_two_teams_in_two_tabs(open_tab: Open, proxy: Running) -> None:
    """One context, as in one browser: the tabs share its storage, and not their tokens."""
    blue = open_tab(proxy.url, path=f"/#token={token('blue')}")
    red = Tab(blue.context, blue.context.new_page(), proxy.url)
    red.page.goto(f"{proxy.url}/#token={token('red')}")
    red.ready()
    for tab, team in ((blue, "blue"), (red, "red")):
        assert tab.page.url == f"{proxy.url}/"
        assert tab.page.get_by_text(team, exact=True).is_visible()
        tab.limit(20)
        tab.send(f"Hello from {team}")
    replies = [tab.reply(team) for tab, team in ((blue, "blue"), (red, "red"))]
    assert [each["state"] for each in replies] == ["done", "done"]
    for tab, own, other in ((blue, "blue", "red"), (red, "red", "blue")):
        tab.page.reload()
        tab.ready()
        assert tab.page.get_by_role("button", name=f"Hello from {own}", exact=True).count() == 1
        assert tab.page.get_by_text(f"Hello from {other}").count() == 0
    statuses = red.page.evaluate(
        """async (streams) => {
          const { Api } = await import("/static/api.js");
          const found = (id) => new Api().request(`v1/streams/${id}`, { method: "HEAD" });
          const status = (id) => found(id).catch((error) => error).then(({ status }) => status);
          return Promise.all(streams.map(status));
        }""",
        [each["stream"] for each in replies],
    )
    assert statuses == [404, 200]
    blue.errors.clear()  # the browser reports the 404 of the other team's stream


def test_a_token_is_pasted_once_and_never_in_an_address(open_tab: Open, proxy: Running) -> None:
    tab = open_tab(proxy.url)
    pasted = token("green")
    tab.page.get_by_role("dialog", name="Access token").wait_for()
    tab.page.get_by_label("Token", exact=True).fill(f"Bearer {pasted}")
    with tab.page.expect_navigation():
        tab.page.get_by_role("button", name="Use token").click()
    tab.ready()
    tab.limit(20)
    tab.send("Hello")
    assert tab.reply("green")["state"] == "done"
    tab.page.reload()
    tab.ready()
    assert tab.page.get_by_role("dialog").count() == 0
    assert [each for each in tab.requests if pasted[:20] in each] == []
    assert tab.context.storage_state()["origins"] in ([], None)  # in this tab only
    tab.errors.clear()  # the browser reports the answers 401 of before


def test_a_refused_token_opens_the_dialog(open_tab: Open, proxy: Running) -> None:
    tab = open_tab(proxy.url, path="/#token=nonsense")
    dialog = tab.page.get_by_role("dialog", name="Access token")
    dialog.wait_for()
    assert "token" in dialog.locator("#token-reason").inner_text().lower()
    tab.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    tab.send("Hello")
    tab.last.get_by_role("button", name="Enter a token").click()
    dialog.wait_for()
    tab.errors.clear()  # the browser reports the answers 401
