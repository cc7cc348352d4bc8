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
  return body?.querySelectorAll(".lines").length > 3 && body.firstElementChild;
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
    counts |= {"hr": 1, "td": 2, "th": 2, "del": 1, "br": 1, "a": 1}
    assert {each: of_body(tab.page, each) for each in counts} == counts
    shown = tab.page.locator("article.assistant > .body").inner_text()
    assert "snake_case_word and 2 * 3 * 4" in shown


def test_growing_and_whole_text_give_the_same_nodes(open_tab: Open, page_of: str) -> None:
    """Also with long paragraphs, of which only the end is rendered again, and odd marks."""
    long = "word **bold** `a` and *b* " * 60
    odd = "unclosed **bold and `code and [link](http://x " * 20 + "\\" + "[[" * 50
    texts = [PLAIN, HOSTILE, long, odd, long + odd, "**" * 3000, "[a](" * 2000, "*a " * 3000]
    differing = Tab.evaluate_module(
        open_tab(page_of).page,
        """({ MarkdownView, rendered }, texts) => texts.filter((text) => {
          const [grown, whole] = [document.createElement("div"), document.createElement("div")];
          const view = new MarkdownView(grown);
          const step = Math.max(1, text.length >> 7);
          for (let at = step; at < text.length; at += step) {
            view.due = 0;
            view.update(text.slice(0, at));
          }
          view.update(text, true);
          whole.append(...rendered(text));
          for (const span of grown.querySelectorAll("p > span:not([class])"))
            span.replaceWith(...span.childNodes);
          return whole.innerHTML !== grown.innerHTML;
        })""",
        "/static/markdown.js",
        texts,
    )
    assert differing == []


def test_ten_thousand_tokens_are_rendered_piece_by_piece(
    open_tab: Open, server: Running, tmp_path: Path
) -> None:
    """What is complete is never rendered again: the first paragraph stays the same node."""
    tab = open_tab(server.url)
    tab.rewrite(ignore_eos=True, max_tokens=10_000, seed=6)  # one paragraph
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
