"""Chromium, the system's: EventSource, and a page of another origin that calls the proxy directly.

EventSource reads a kept chat through silence, killed decoders and a cut connection. Its page comes
from a small server of this program, which forwards the browser's requests with the token, as an
application's own server would.
"""

import http.client
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from disturbed import HELLO, TOKEN, URL, hold
from playwright.sync_api import Browser, Error, sync_playwright

SKIPPED = 77
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READ = """(url) => new Promise((done, fail) => {
  let text = '';
  const source = new EventSource(url);
  source.onmessage = (event) => {
    if (event.data === '[DONE]') { source.close(); done(text); return; }
    try {
      const part = JSON.parse(event.data).choices[0].delta.content ?? '';
      text += part;
      if (part) came();
    } catch (error) { source.close(); fail(error); }
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) fail(new Error('closed'));
  };
})"""
FETCH = """async ([url, token, body]) => {
  const answer = await fetch(url + '/v1/chat/completions', {
    method: 'POST', body,
    headers: {Authorization: `Bearer ${token}`, 'Content-Type': 'application/json'},
  });
  const reader = answer.body.getReader(), decoder = new TextDecoder(), parts = [];
  for (let part; !(part = await reader.read()).done;) parts.push(decoder.decode(part.value));
  return [answer.status, answer.headers.get('X-Stream-ID'), parts];
}"""
cuts: list[int] = []  # the number of events after which the next answer is cut
resumed: list[str] = []  # the ids from which the browser resumed


def upstream(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Any:
    """Send a request, and repeat it while there is no decoder; return the answer."""
    for _ in range(60):
        connection = http.client.HTTPConnection(urlsplit(URL).netloc, timeout=60)
        connection.request(method, path, body, headers | {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        if answer.status != 503:
            break
        time.sleep(0.5)
    assert answer.status == 200, answer.read()
    return answer


class Application(BaseHTTPRequestHandler):
    """`/`: an empty page; every other path is forwarded to Rowcast."""

    def do_GET(self) -> None:
        if not self.path.startswith("/v1/"):
            self._begin("text/html")
            return
        place = self.headers.get("Last-Event-ID")
        if place:
            resumed.append(place)
        answer = upstream("GET", self.path, {"Last-Event-ID": place} if place else {})
        self._begin(answer.headers["Content-Type"])
        left = cuts.pop() if cuts else None
        while (line := answer.readline()) and left != 0:
            self.wfile.write(line)
            left = left - 1 if left is not None and line == b"\n" else left

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def begun() -> str:
    """Start a stream; return its path before anybody reads it."""
    asked = {"model": "scripted", "stream": True, "messages": HELLO, "seed": 3, "max_tokens": 12}
    answer = upstream("POST", "/v1/chat/completions", {}, json.dumps(asked).encode())
    stream = answer.headers["X-Stream-ID"]
    answer.close()
    return f"/v1/streams/{stream}"


def check_other_origins(browser: Browser, listed: int, unlisted: int) -> None:
    """Check that a page on the proxy's list reads a stream as it arrives; others read nothing."""
    body = {"model": "scripted", "stream": True, "messages": HELLO, "seed": 3, "max_tokens": 12}

    def fetched(port: int, token: str) -> Any:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        try:
            return page.evaluate(FETCH, [URL, token, json.dumps(body)])
        finally:
            page.close()

    status, stream, parts = fetched(listed, TOKEN)
    assert status == 200
    assert stream, "the page may not read the stream's id"
    assert len(parts) > 5, "it came at once"
    assert "".join(parts).endswith("data: [DONE]\n\n")
    assert fetched(listed, "no token")[0] == 401, "the page can not read why it was refused"
    said = ""
    try:
        fetched(unlisted, TOKEN)
    except Error as refused:
        said = str(refused)
    assert "Failed to fetch" in said, said or "a page that is not on the list has read an answer"
    print("  a page of another origin: reads a stream when it is on the list, else nothing")


def listening(port: int) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", port), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> int:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        print(f"skipped: there is no Chromium here (none of {', '.join(NAMES)})")
        return SKIPPED
    server, other = listening(0), listening(int(os.environ["ROWCAST_PAGE_PORT"]))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])

        def read(came: Callable[[], None]) -> str:
            stream = begun()
            page = browser.new_page()
            page.expose_function("came", came)
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            text = str(page.evaluate(READ, stream))
            page.close()
            return text

        calm = read(lambda: None)
        hold("EventSource", read, silent=True)
        cuts.append(4)
        assert read(lambda: None) == calm
        assert len(resumed) == 1, resumed
        print(f"  a cut connection: the same, from {resumed[0]}")
        check_other_origins(browser, other.server_port, server.server_port)
        browser.close()
    server.shutdown()
    other.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
