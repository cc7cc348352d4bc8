"""Who asks: the proxy's verified claims, and the request's id.

Claims are believed only when they come with the secret shared with the proxy; without it a request
is nobody's. A request id is kept when it is a plain word, else a fresh one is made.
"""

import hmac
import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

from werkzeug.datastructures import Headers

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is."""

    team: str = ""
    token_id: str = ""


def caller_of(headers: Headers, proxy_secret: str | None) -> Caller:
    """The claims that the proxy vouches for."""
    shown = headers.get("X-Rowcast-Proxy-Secret", "")
    if not proxy_secret or not hmac.compare_digest(shown.encode(), proxy_secret.encode()):
        return Caller()
    return Caller(
        team=unquote(headers.get("X-Rowcast-Team", "")),
        token_id=unquote(headers.get("X-Rowcast-Token-Id", "")),
    )


def request_id_of(headers: Headers) -> str:
    """The caller's id for this request, or a fresh one."""
    return kept_id(headers.get("X-Request-ID", ""))


def kept_id(sent: str) -> str:
    """This id, if it may be one, or a fresh one."""
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
