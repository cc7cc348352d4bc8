"""One browser tab with Rowcast's page, driven as its user would; used by the page's tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Route

PATIENCE = 90_000  # milliseconds
SEED = 1
CHAT = "**/v1/chat/completions"
SHOWN = {"Server": ("#rows > *", "#models table"), "Tasks": ("#task-list > *",)}
TOKENS = """() => {
  const facts = [...document.querySelectorAll(".facts")].at(-1)?.textContent ?? "";
  return Number((/([\\d,]+) token/.exec(facts)?.[1] ?? "0").replace(",", ""));
}"""
STORED = """async (team) => {
  const { openStore } = await import("/static/conversations.js");
  const talks = await (await openStore(team)).all();
  return talks.flatMap((talk) => Object.values(talk.nodes))
    .filter((node) => node.role === "assistant")
    .sort((one, other) => one.created - other.created);
}"""


@dataclass
class Tab:
    """A tab, with the errors that it has reported and the hosts to which it has sent requests."""

    context: BrowserContext
    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    closed: bool = False

    @classmethod
    def opened(cls, browser: Browser, url: str, *, path: str = "/", **context: Any) -> "Tab":
        """Open the page and wait until it can be used."""
        context = {"viewport": {"width": 1280, "height": 800}, **context}
        made = browser.new_context(**context)
        made.set_default_timeout(PATIENCE)
        tab = cls(made, made.new_page(), url)
        tab.page.on("console", tab.note_error)
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.on("request", lambda sent: tab.requests.append(sent.url))
        tab.page.goto(url + path)
        tab.ready()
        return tab

    def ready(self) -> None:
        """Wait until the page can be used."""
        self.page.wait_for_selector("html[data-ready]")

    def note_error(self, line: ConsoleMessage) -> None:
        """Note what the browser has reported as an error."""
        if line.type == "error":
            self.errors.append(line.text)

    def close(self) -> None:
        """Close the tab; fail if anything in it has failed, or left this host."""
        if self.closed:
            return
        self.closed = True
        self.context.close()
        assert not self.errors, self.errors
        hosts = {urlsplit(each).netloc for each in self.requests if not each.startswith("blob:")}
        assert hosts <= {urlsplit(self.url).netloc}

    def settings(self, values: Mapping[str, object]) -> None:
        """Change settings of the conversation, by their labels."""
        self.page.get_by_role("button", name="Settings of this conversation").click()
        for label, value in values.items():
            self.page.get_by_label(label, exact=True).fill(str(value))
        self.page.get_by_role("button", name="Close settings").click()

    def limit(self, tokens: int, seed: int = SEED) -> None:
        """Give the next replies a seed and a largest length, in the settings."""
        self.settings({"Seed": seed, "Maximum tokens": tokens})

    def rewrite(self, requests: str = CHAT, **fields: object) -> None:
        """Set these fields in the body of each request to such an address."""

        def send(route: Route) -> None:
            body = json.loads(route.request.post_data or "")
            route.continue_(post_data=json.dumps(body | fields))

        self.page.route(requests, send)

    def slow_down(self, rate: int) -> None:
        """Have the network bring at most this many bytes a second, however fast the server is."""
        network = {"offline": False, "latency": 0, "downloadThroughput": rate}
        connected = self.context.new_cdp_session(self.page)
        connected.send("Network.enable")
        connected.send("Network.emulateNetworkConditions", network | {"uploadThroughput": -1})

    def send(self, text: str) -> None:
        """Type a message and send it."""
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.get_by_role("button", name="Send Message").click()

    @property
    def last(self) -> Locator:
        """The last message that is shown."""
        return self.page.locator("article").last

    def act(self, name: str) -> None:
        """Press a button of the last message."""
        self.last.get_by_role("button", name=name, exact=True).click()

    def await_tokens(self, count: int) -> None:
        """Wait until the last reply has at least this many tokens."""
        self.page.wait_for_function(f"(count) => ({TOKENS})() >= count", arg=count)

    def tokens(self) -> int:
        """Return how many tokens the last reply has."""
        return int(self.page.evaluate(TOKENS))

    def await_end(self) -> None:
        """Wait until the last reply has ended."""
        self.page.locator("article").last.and_(self.page.locator('[aria-busy="false"]')).wait_for()

    def stored(self, team: str = "") -> list[dict[str, Any]]:
        """Return the replies that the browser stores, in order."""
        replies: list[dict[str, Any]] = self.page.evaluate(STORED, team)
        return replies

    def reply(self, team: str = "") -> dict[str, Any]:
        """Return the latest reply once it has ended and is stored."""
        self.await_end()
        self.page.wait_for_function(
            f"async () => (await ({STORED})({team!r})).at(-1)?.state !== 'streaming'"
        )
        return self.stored(team)[-1]

    @staticmethod
    def evaluate_module(page: Page, function: str, module: str, argument: object) -> object:
        """Return what a function of a module's exports and an argument returns in the page."""
        call = f"async ([module, argument]) => ({function})(await import(module), argument)"
        return page.evaluate(call, [module, argument])

    def show(self, view: str) -> None:
        """Show a view, and wait until it has what the server reports."""
        self.page.get_by_role("link", name=view, exact=True).click()
        for content in SHOWN.get(view, ()):
            self.page.locator(content).first.wait_for()

    def notes(self) -> list[str]:
        """Return what the last reply reports about interruptions."""
        return self.last.locator(".notes li").all_inner_texts()


def undisturbed(url: str, text: str, seed: int, tokens: int, **headers: str) -> str:
    """Return the reply to a message, without a page and without a disturbance."""
    body = {
        "model": "scripted",
        "messages": [{"role": "user", "content": text}],
        "seed": seed,
        "max_tokens": tokens,
    }
    answer = requests.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content
