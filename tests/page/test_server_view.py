"""The rows, the models and the tasks on the page."""

import json

import pytest
from playwright.sync_api import Route

from page.conftest import Open
from page.tab import Tab
from processes import Running

pytestmark = pytest.mark.slow


def rows_of(stream: str) -> dict[str, object]:
    """Return a report with one row of this stream, one of another team, and 30 free ones."""
    own = {"row": 0, "own": True, "stream": stream, "phase": "decode"}
    own |= {"prompt_tokens": 9, "reply_tokens": 1234}
    rows: list[object] = [own, {"row": 1, "own": False}, *[None] * 30]
    model = {"id": "scripted", "state": "ready", "steps": 4321, "tokens_per_second": 98.7}
    model |= {"rows": rows, "waiting": {"own": 1, "all": 3}}
    model |= {"prefixes": {"looked_up": 4, "found": 3}}
    return {"object": "rows", "models": [model]}


def test_rows_are_shown_by_name_and_others_in_grey(tab: Tab) -> None:
    tab.limit(5)
    tab.send("Named after this")
    stream = tab.reply()["stream"]
    report = f"data: {json.dumps(rows_of(stream))}\n\n"

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/event-stream", body=report)

    tab.page.route("**/v1/rows", answer)
    tab.page.goto(f"{tab.url}/#server")
    tab.page.reload()
    tab.ready()
    card = tab.page.get_by_role("region", name="scripted")
    card.wait_for()
    text = card.inner_text()
    for part in ("98.7", "4,321", "3, 1 yours", "75 %", "Named after this", "1,234 tokens"):
        assert part in text, text
    assert "2 of 32 rows are taken, 1 by your team." in text
    squares = card.locator(".row")
    assert squares.count() == 32
    kinds = [card.locator(f".row.{kind}").count() for kind in ("own", "other", "free")]
    assert kinds == [1, 1, 30]
    assert tab.page.locator("#strip").is_visible()


def test_without_rows_the_view_says_so(open_tab: Open, storing_server: Running) -> None:
    tab = open_tab(storing_server.url)
    tab.page.route("**/v1/rows", lambda route: route.fulfill(status=404, json={"message": "no"}))
    tab.page.goto(f"{tab.url}/#server")
    tab.page.reload()
    tab.ready()
    tab.page.get_by_text("Individual rows are not available on this server.").wait_for()
    tab.page.get_by_role("region", name="Models").get_by_text("ready").wait_for()
    assert not tab.page.locator("#strip").is_visible()
    tab.errors.clear()  # the browser reports the 404


CHOOSING = """async ({ Models }) => {
  const select = document.getElementById("model");
  const listed = (...names) => ({ data: names.map((id) => ({ id, state: "ready", status: {} })) });
  let answer = Promise.resolve(listed("first"));
  const models = new Models({ json: () => answer });
  const seen = [];
  const load = async (...names) => {
    answer = Promise.resolve(listed(...names));
    await models.load();
    seen.push(models.chosen);
  };
  models.choose("second");
  await load("first");
  await load("first", "second");
  select.value = "first";
  select.dispatchEvent(new Event("change"));
  await load("first", "second", "third");
  let late;
  answer = new Promise((resolve) => (late = resolve));
  const early = models.load();
  await load("first", "third");
  late(listed("second"));
  await early;
  answer = Promise.reject(new Error("lost"));
  await models.load();
  return [...seen, models.chosen, models.all.length];
}"""


def test_a_model_is_chosen_as_soon_as_it_is_listed(tab: Tab) -> None:
    """The latest choice holds, and the latest request is what is shown, whatever ends first."""
    chosen = tab.evaluate_module(tab.page, CHOOSING, "/static/models.js", None)
    assert chosen == ["first", "second", "first", "first", "first", 2]
