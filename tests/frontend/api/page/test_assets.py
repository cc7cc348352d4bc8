"""The page's files over HTTP: which requests get the page, compression, validation, policy.

Covers `api/page`, `page/openapi`.
"""

import gzip
import re

import pytest
from werkzeug.datastructures import Headers

from frontend.serving import Served
from processes import ROOT
from rowcast.frontend.api.page.assets import PAGE, prefers_page, read_assets

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
FILES = [path.name for path in sorted((ROOT / "static").iterdir())]


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML;level=1, application/json;q=0.5", True),
        (None, False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("application/json, text/html;q=0.9, */*;q=0.1", False),
        ("text/plain", False),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
    ],
)
def test_only_requests_that_prefer_html_get_the_page(accept: str | None, page: bool) -> None:
    assert prefers_page(Headers({"Accept": accept} if accept else {})) is page


def test_other_callers_of_the_root_get_readiness(served: Served) -> None:
    browser = served.client.get("/", headers={"Accept": BROWSER})
    assert browser.mimetype == "text/html"
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = served.client.get("/", headers=accept)
        assert answer.get_json()["status"] == "ready"
        assert answer.get_json() == served.client.get("/health").get_json()


@pytest.mark.parametrize("path", ["/", *(f"/static/{name}" for name in FILES)])
def test_a_file_is_sent_compressed_and_once(served: Served, path: str) -> None:
    headers = {"Accept": BROWSER}
    plain = served.client.get(path, headers=headers)
    zipped = served.client.get(path, headers=headers | {"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert plain.headers["ETag"] != zipped.headers["ETag"]
    for answer, coding in ((plain, ""), (zipped, "gzip")):
        known = {"If-None-Match": answer.headers["ETag"], "Accept-Encoding": coding}
        again = served.client.get(path, headers=headers | known)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == answer.headers["ETag"]


def test_the_policy_allows_this_servers_files_and_nothing_inline(served: Served) -> None:
    answer = served.client.get("/", headers={"Accept": BROWSER})
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    for part in ("frame-ancestors 'none'", "script-src 'self'", "trusted-types 'none'"):
        assert part in policy.split("; ")
    assert "unsafe" not in policy
    assert (
        re.findall(r"<script(?! type=\"module\" src=)|<style|\son\w+=|\sstyle=", answer.text) == []
    )
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text) == []


def test_the_page_names_files_that_exist_and_preloads_every_module() -> None:
    page = (ROOT / "templates" / PAGE).read_text()
    named = set(re.findall(r"\"static/([^\"]+)\"", page))
    assert named == set(FILES)
    for script in (ROOT / "static").glob("*.js"):
        imported = set(re.findall(r"from \"\./([^\"]+)\"", script.read_text()))
        assert imported <= named
        assert "innerHTML" not in script.read_text()


@pytest.mark.parametrize("name", ["nothing.js", PAGE, "..%2Findex.html", "main.js%00"])
def test_nothing_else_is_below_static(served: Served, name: str) -> None:
    assert served.client.get(f"/static/{name}").status_code == 404


def test_the_first_load_is_small() -> None:
    assets = read_assets(ROOT)
    assert sum(len(each.compressed) for each in assets.values()) < 100_000
