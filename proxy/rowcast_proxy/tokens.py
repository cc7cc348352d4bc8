"""Turns the header that holds a token into the caller that it proves, or a refusal.

In: the text of Authorization, or of X-Api-Key, as clients of Anthropic send it; if both are sent,
they must hold the same token. Out: `Caller` (team, token id, what it may do). HS256 with one
secret; the token's own header selects neither the algorithm nor the key. Every check is a line of
`verify`. Nothing is cached between requests, so an expired token is refused at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from rowcast_metrics.causes import cause_of
from rowcast_proxy.errors import Forbidden, Unauthorized

LONGEST_TOKEN: Final = 4096
LONGEST_ID: Final = 256
_FORM: Final = r"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)"
_BEARER: Final = re.compile(rf"(?i:bearer) +{_FORM}")
_KEY: Final = re.compile(_FORM)


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified claims of a token."""

    team: str
    token_id: str | None
    admin: bool = False  # may load and unload models
    scraper: bool = False  # may read metrics, as an administrator may

    def check_scraper(self) -> None:
        """Raise Forbidden unless the caller may read metrics, which are of all teams."""
        if not (self.admin or self.scraper):
            raise Forbidden("Metrics need a token whose claim metrics or admin is true.")


class TokenVerifier:
    def __init__(
        self, secret: str, *, leeway_seconds: float = 0, require_exp: bool = False
    ) -> None:
        self._secret = secret
        self._leeway_seconds = leeway_seconds
        self._required = ["exp"] if require_exp else []

    def verify(self, authorization: str | None, api_key: str | None = None) -> Caller:
        token = _one_token(authorization, api_key)
        claims = self._verified_claims(token)
        admin, scraper = (_is_true(claims, name) for name in ("admin", "metrics"))
        return Caller(_team(claims), _token_id(claims), admin, scraper)

    def _verified_claims(self, token: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                leeway=self._leeway_seconds,
                options={"require": self._required},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(token_sent=True, cause=cause_of(error)) from None


def _one_token(authorization: str | None, api_key: str | None) -> str:
    """Return the one token. Two headers of a name are joined by a comma, which no token has."""
    sent = [(form, text) for form, text in ((_BEARER, authorization), (_KEY, api_key)) if text]
    if not sent:
        raise Unauthorized(token_sent=False)
    found = [form.fullmatch(text) for form, text in sent]
    tokens = {match[1] if match else "" for match in found}
    token = tokens.pop()
    if tokens or not token or len(token) > LONGEST_TOKEN:
        raise Unauthorized(token_sent=True, cause="malformed")
    return token


def _team(claims: Mapping[str, Any]) -> str:
    team = claims.get("team_id")
    if team is None:
        raise Forbidden("The token carries no team_id.")
    if not _is_id(team):
        raise Forbidden(f"The token's team_id must be a text of 1 to {LONGEST_ID} characters.")
    return str(team)


def _token_id(claims: Mapping[str, Any]) -> str | None:
    token_id = claims.get("token_id")
    if token_id is None:
        return None
    if not _is_id(token_id):
        raise Forbidden(f"The token's token_id must be a text of 1 to {LONGEST_ID} characters.")
    return str(token_id)


def _is_true(claims: Mapping[str, Any], name: str) -> bool:
    """True if the claim is `true` in JSON; a text or a number is not enough."""
    return claims.get(name) is True


def _is_id(value: object) -> bool:
    """True if this is a usable id: blank text names no one; lone surrogates cannot be encoded."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_ID:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
