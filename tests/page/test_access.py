"""For everyone: keyboard alone, names of controls, contrast, order of headings, narrow and wide.

Each rule that a program can check is a question to the rendered page, in both schemes.
"""

import pytest

from page.conftest import Open
from page.tab import Tab
from processes import Running

pytestmark = pytest.mark.slow

CONTROLS = "button, a, input, select, textarea, summary, [role]"
UNNAMED = """(controls) => [...document.querySelectorAll(controls)]
  .filter((node) => node.checkVisibility() && !["status", "presentation"].includes(node.role))
  .filter((node) => {
    const label = node.labels?.[0]?.textContent ?? node.getAttribute("aria-label") ?? "";
    const by = node.getAttribute("aria-labelledby");
    const named = by ? document.getElementById(by).textContent : "";
    return !(label + named + node.textContent + (node.title ?? "")).trim();
  })
  .map((node) => node.outerHTML.slice(0, 120))"""
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (colour, under) => {
    canvas.globalCompositeOperation = "copy";
    canvas.fillStyle = `rgb(${under.join()})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.globalCompositeOperation = "source-over";
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (node) => {
    const above = node.parentElement ? ground(node.parentElement) : [255, 255, 255];
    return rgb(getComputedStyle(node).backgroundColor, above);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  return [...document.querySelectorAll("body *")]
    .filter((node) => [...node.childNodes].some(isText) && node.checkVisibility())
    .filter((node) => !node.closest(":disabled, .unseen, .toast"))
    .map((node) => {
      const under = ground(node);
      return [ratio(rgb(getComputedStyle(node).color, under), under), node.outerHTML.slice(0, 90)];
    })
    .filter(([found]) => found < 4.5);
}"""
SKIPPED_LEVELS = """() => {
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
    .filter((node) => node.checkVisibility()).map((node) => Number(node.tagName[1]));
  return levels.filter((level, at) => level - (levels[at - 1] ?? 0) > 1);
}"""
WIDE = """() => document.scrollingElement.scrollWidth - innerWidth"""
OUTSIDE = """() => [...document.querySelectorAll("main *, header *")]
  .filter((node) => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth + 1)
  .filter((node) => !node.closest(".table, pre, .unseen, .drawer"))
  .map((node) => node.outerHTML.slice(0, 100))"""
VIEWS = ("Talk", "Server", "Tasks")
LONG = "A" * 200 + " and `" + "code" * 60 + "`"


def with_reply(tab: Tab) -> None:
    tab.limit(30)
    tab.send(LONG)
    tab.await_end()
    tab.act("Tokens")
    tab.page.get_by_text("the same bytes as above").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_every_text_contrast(
    open_tab: Open, storing_server: Running, scheme: str
) -> None:
    tab = open_tab(storing_server.url, color_scheme=scheme)
    with_reply(tab)
    tab.page.get_by_role("button", name="Settings of this conversation").click()
    for view in VIEWS:
        tab.show(view)
        assert tab.page.evaluate(UNNAMED, CONTROLS) == []
        assert tab.page.evaluate(FAINT) == []
        assert tab.page.evaluate(SKIPPED_LEVELS) == []
    found = tab.page.get_by_role
    landmarks = [found("banner"), found("main"), found("navigation"), found("complementary")]
    assert [each.count() for each in landmarks if not each.count()] == []
    assert tab.page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("width", [390, 1280, 1900])
def test_nothing_needs_horizontal_scrolling(
    open_tab: Open, storing_server: Running, width: int
) -> None:
    tab = open_tab(storing_server.url, viewport={"width": width, "height": 800})
    with_reply(tab)
    for view in VIEWS:
        tab.show(view)
        assert tab.page.evaluate(WIDE) <= 0
        assert tab.page.evaluate(OUTSIDE) == []
    side = tab.page.get_by_role("complementary", name="Conversations")
    if width == 390:
        assert not side.is_visible()
        tab.page.get_by_role("button", name="Conversations").click()
    side.wait_for()


def test_the_keyboard_alone(tab: Tab) -> None:
    """Everything on the way from the address to a stopped reply, without a pointer."""
    press = tab.page.keyboard.press
    tab.rewrite(ignore_eos=True, max_tokens=10_000)
    press("Tab")
    assert tab.page.locator(":focus").inner_text() == "Skip to the message field"
    press("Enter")
    tab.page.keyboard.type("First line")
    press("Shift+Enter")
    tab.page.keyboard.type("second line")
    press("Enter")
    tab.await_tokens(5)
    assert tab.page.locator("article.user > .body").inner_text() == "First line\nsecond line"
    press("Escape")
    assert tab.reply()["state"] == "stopped"
    assert tab.page.locator(":focus").get_attribute("id") == "message"
    seen = set()
    for _ in range(40):
        press("Tab")
        focused = tab.page.locator(":focus")
        if focused.count():
            seen.add(focused.inner_text() or focused.get_attribute("id") or "")
            style = focused.evaluate("(node) => getComputedStyle(node).outlineStyle")
            assert style != "none" or focused.evaluate("(node) => node.tagName") == "TEXTAREA"
    assert {"Regenerate", "Copy", "Edit", "Tokens", "Talk", "Server", "Tasks", "Export"} <= seen


def test_what_happens_is_announced(tab: Tab) -> None:
    tab.limit(8)
    tab.send("Hello")
    text = tab.reply()["text"].strip()
    announced = tab.page.locator("#announcer[aria-live=polite]").inner_text()
    assert "The reply is complete." in announced
    assert text.split()[0] in announced


def test_the_scheme_is_switched_and_remembered(tab: Tab) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    before = tab.page.evaluate(colour)
    tab.page.get_by_role("button", name="Switch to the dark scheme").click()
    dark = tab.page.evaluate(colour)
    assert dark != before
    tab.page.reload()
    tab.ready()
    assert tab.page.evaluate(colour) == dark
    assert tab.page.get_by_role("button", name="Switch to the light scheme").count() == 1
