"""Markdown of a model becomes nodes, and nothing that is hostile in it does anything.

Each text is streamed to the page as a model's reply, in pieces of a few characters.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from page.conftest import Open
from page.tab import Tab
from processes import Running

pytestmark = pytest.mark.slow

HOSTILE = """
<script>window.harmed = 1</script> <img src=x onerror="window.harmed = 2">
<svg onload="window.harmed = 3"><a href="javascript:window.harmed=4">a</a></svg>

[run](javascript:window.harmed=5) [data](data:text/html,<script>window.harmed=6</script>)
[tab](java\tscript:window.harmed=7) [case](JaVaScRiPt:window.harmed=8) <javascript:harm()>
[https://good.example](https://evil.example/x) ![pixel](https://evil.example/pixel.png)
[ok](https://example.org/a_(b) "a title") https://example.org/plain. [mail](mailto:a@b.example)

| a | b |
|---|---|
| <iframe src="https://evil.example"> | `<b>` |

```html"><script>window.harmed=9</script>
<script>window.harmed = 10</script>
```

> # <style>* { display: none }</style>
"""
PLAIN = """
# One

Some *emphasis*, **strong *both***, `code`, ~~gone~~, snake_case_word and 2 * 3 * 4.
A line\\
and [a link](https://example.org).

1. first
2. second
   - nested

   ```py
   x = "a"
   ```

---

| a | b |
|---|--:|
| 1 | 2 |
"""

GROWING = (
    "- one\n-x\n- two\n\n  more\n- - deep\n  1. a\n\n\n  b\n* three\n\n3) other\n4. ones\n\nEnd",
    "a | b\n-|:-:\n1 | 2\n3 | 4\nfive\n\na | b\n--x\n\n| c |\n|---|\n| 1 |\n|",
    "> one\n> - a\n> - b\nlazy\n-\n> two\n>\n> ```\n> code\n> ```\n>> deep\n1.\n> x\n1\n2\n> - c\n"
    + "> z\n" * 90,
    "~~~ py\nx\n``` \n~~\n~~~~\nAfter\n```\n```\n\n```js\nopen\n``` no\n```` `\n```",
    "# Head ## \n##\n## \n#\n---\n-- -\n-\n--x\n***\n*** x\n# #",
    "```\n" + "a line of code, and more\n\n" * 300 + "```\nAfter it\n",
    "1. **item** `x`\n   - a\n" * 200,
    "| a | b |\n|---|--:|\n" + "| `x` | *y* |\n" * 200 + "\nAfter it",
    ">" * 30 + " deep\n" + "    " * 9 + "- deep\n" + "- " * 30 + "deep",
)
UNITS = (
    "- **item** `x`\n",
    "> some *words*\n",
    "```\ncode\n```\n\n",
    "One.\n\n",
    "Some words *and* ",
)


@pytest.fixture(scope="module")
def page_of(storing_server: Running) -> str:
    return storing_server.url


def events(text: str) -> Iterator[str]:
    """Yield the events of a stream with this text."""
    for at in range(0, len(text), 7):
        delta = {"choices": [{"index": 0, "delta": {"content": text[at : at + 7]}}]}
        yield f"id: {at // 7 + 1}\ndata: {json.dumps(delta)}\n\n"
    yield 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    yield "data: [DONE]\n\n"


def replied(tab: Tab, text: str) -> None:
    """Have the page show a reply with this text."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/event-stream", body="".join(events(text)))

    tab.page.route("**/v1/chat/completions", answer)
    tab.send("Hello")
    tab.await_end()


LINES_SET_APART = """() => {
  const body = document.querySelector("article.assistant > .body");
  return body?.querySelectorAll(".lines").length > 0 && body.firstElementChild;
}"""  # the lines above the last are not laid out again and again


def of_body(page: Page, selector: str) -> int:
    return page.locator(f"article.assistant > .body {selector}").count()


def test_hostile_text_stays_text(open_tab: Open, page_of: str) -> None:
    tab = open_tab(page_of)
    replied(tab, HOSTILE)
    page = tab.page
    assert page.evaluate("window.harmed") is None
    for element in ("script", "img", "svg", "iframe", "style", "[onerror]", "[onload]"):
        assert of_body(page, element) == 0, element
    links = page.locator("article.assistant > .body a")
    addresses = [each.get_attribute("href") or "" for each in links.all()]
    assert all(each.startswith(("https://", "mailto:")) for each in addresses), addresses
    assert "https://example.org/a_(b)" in addresses
    assert {each.get_attribute("rel") for each in links.all()} == {"noopener noreferrer nofollow"}
    shown = page.locator("article.assistant > .body").inner_text()
    assert "https://good.example (evil.example/x)" in shown
    assert "Image: pixel (evil.example/pixel.png)" in shown
    assert "<script>window.harmed = 1</script>" in shown
    assert of_body(page, "code >> text=window.harmed = 10") == 1


def test_plain_markdown_becomes_elements(open_tab: Open, page_of: str) -> None:
    tab = open_tab(page_of)
    replied(tab, PLAIN)
    counts = {"h3": 1, "em": 2, "strong": 1, "ol > li": 2, "li ul li": 1, "li pre code": 1}
    counts |= {"hr": 1, "td": 2, "th": 2, "td.right": 1, "th.right": 1, "del": 1, "br": 1, "a": 1}
    assert {each: of_body(tab.page, each) for each in counts} == counts
    shown = tab.page.locator("article.assistant > .body").inner_text()
    assert "snake_case_word and 2 * 3 * 4" in shown


DIFFERING = """async ({ MarkdownView }, texts) => {
  const { rendered } = await import("/static/markdown.js");
  const node = (children) => {
    const place = document.createElement("div");
    place.append(...children);
    return place;
  };
  const SHORT = 2000;
  const differs = (text, step) => {
    const grown = node([]);
    const view = new MarkdownView(grown);
    for (let at = step; at < text.length; at += step) {
      view.due = 0;
      view.update(text.slice(0, at));
      if (text.length > SHORT) continue;
      const whole = node(rendered(text.slice(0, at)));
      if (grown.textContent.trimEnd() !== whole.textContent.trimEnd()) return true;
    }
    view.update(text, true);
    for (const part of grown.querySelectorAll(".part")) part.replaceWith(...part.childNodes);
    return node(rendered(text)).innerHTML !== grown.innerHTML;
  };
  const steps = (text) => (text.length > SHORT ? [text.length >> 7] : [1, 7]);
  return texts.filter((text) => steps(text).some((step) => differs(text, step)));
}"""


def test_growing_and_whole_text_give_the_same_nodes(open_tab: Open, page_of: str) -> None:
    """Also of each block that grows, and of lines that move to another block when they grow."""
    long = "word **bold** `a` and *b* " * 60
    odd = "unclosed **bold and `code and [link](http://x " * 20 + "\\" + "[[" * 50
    texts = [PLAIN, HOSTILE, long, odd, long + odd, "**" * 3000, "[a](" * 2000, "*a " * 3000]
    texts += [*GROWING, "\n\n".join((PLAIN, *GROWING) * 3)]
    page = open_tab(page_of).page
    assert Tab.evaluate_module(page, DIFFERING, "/static/growing.js", texts) == []


COSTLY = """({ MarkdownView }, texts) => texts.map((unit) => {
  const place = document.createElement("div");
  const view = new MarkdownView(place);
  const text = unit.repeat(400);
  const seen = new MutationObserver(() => {});
  seen.observe(place, { childList: true, subtree: true });
  const grow = (to) => {
    view.due = 0;
    view.update(text.slice(0, to));
  };
  const cost = (from) => {
    grow(from);
    seen.takeRecords();
    for (let at = from; at < from + 200; at += 1) grow(at);
    const added = seen.takeRecords().flatMap(({ addedNodes }) => [...addedNodes]);
    return added.reduce((sum, node) => sum + 1 + (node.querySelectorAll?.("*").length ?? 0), 0);
  };
  return [cost(1000), cost(text.length - 300)];
})"""


def test_a_long_block_costs_what_a_short_one_does(open_tab: Open, page_of: str) -> None:
    """Counted in nodes that are made while 200 characters are added."""
    page = open_tab(page_of).page
    costs = Tab.evaluate_module(page, COSTLY, "/static/growing.js", list(UNITS))
    assert isinstance(costs, list)
    for unit, (short, long) in zip(UNITS, costs, strict=True):
        assert long < short * 1.5 + 500, unit


def test_ten_thousand_tokens_are_rendered_piece_by_piece(
    open_tab: Open, server: Running, tmp_path: Path
) -> None:
    """What is complete is never rendered again: the first paragraph stays the same node."""
    tab = open_tab(server.url)
    tab.rewrite(ignore_eos=True, max_tokens=10_000, seed=6)  # one paragraph
    tab.slow_down(500_000)
    tab.send("Hello")
    first = tab.page.wait_for_function(LINES_SET_APART).as_element()  # while it streams
    assert first is not None
    before = first.text_content()
    reply = tab.reply()
    assert reply["tokens"] == 10_000
    assert first.evaluate("(node) => node.isConnected")
    assert (first.text_content() or "").startswith((before or "")[:200])
    text = tab.page.locator("article.assistant > .body").text_content() or ""
    assert of_body(tab.page, ".lines") == 0
    words = reply["text"].split()
    assert len(words) > 5000
    assert text.split()[-3:] == words[-3:]
