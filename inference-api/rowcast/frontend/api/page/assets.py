"""The page's files in memory, and how each is sent: compressed once, validated by its ETag.

    TREE/templates/index.html, TREE/static/* ──▶ Assets ──▶ 200, or 304 if the browser has it

A browser requests each file again with the ETag that it has, so it never mixes two versions. The
policy allows nothing but the files of this server: no inline script or style, no other host, no
frame around the page, and no text that becomes markup.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from werkzeug.datastructures import Headers, MIMEAccept
from werkzeug.http import parse_accept_header, parse_etags

from rowcast.frontend.response import CONTENT_TYPE, HTML, JSON, Response

PAGE = "index.html"
KINDS = {
    ".html": HTML,
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
SENT_ALWAYS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Assets = Mapping[str, "Asset"]


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    kind: str
    plain: bytes
    compressed: bytes
    digest: str

    @classmethod
    def of(cls, kind: str, content: bytes) -> "Asset":
        compressed = gzip.compress(content, mtime=0)
        return cls(kind, content, compressed, sha256(content).hexdigest()[:32])

    def response(self, headers: Headers) -> Response:
        """Answer a request with these headers."""
        zipped = _takes_gzip(headers)
        tag = f"{self.digest}-gzip" if zipped else self.digest
        vary = "Accept, Accept-Encoding" if self.kind == HTML else "Accept-Encoding"
        sent = SENT_ALWAYS | {CONTENT_TYPE: self.kind, "ETag": f'"{tag}"', "Vary": vary}
        if parse_etags(headers.get("If-None-Match")).contains_weak(tag):
            return Response(status=304, headers=sent)
        body = self.compressed if zipped else self.plain
        sent |= {"Content-Encoding": "gzip"} if zipped else {}
        return Response(body=body, headers=sent | {"Content-Length": str(len(body))})


def read_assets(root: Path) -> Assets:
    """Return the files of the page by their names, from the tree of files at `root`."""
    found = [root / "templates" / PAGE, *sorted((root / "static").iterdir())]
    return {
        path.name: Asset.of(KINDS[path.suffix], path.read_bytes())
        for path in found
        if path.suffix in KINDS
    }


def prefers_page(headers: Headers) -> bool:
    """True if a request names HTML, and prefers it to JSON, as browsers do."""
    accept = parse_accept_header(headers.get("Accept"), MIMEAccept)
    named = {kind.partition(";")[0].lower(): quality for kind, quality in accept}
    return named.get("text/html", 0) > named.get(JSON, 0)


def _takes_gzip(headers: Headers) -> bool:
    codings = parse_accept_header(headers.get("Accept-Encoding"))
    return any(name.lower() == "gzip" and quality > 0 for name, quality in codings)
