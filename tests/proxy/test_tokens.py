"""Tokens: what proves an identity, and one test for each known way to forge one."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from rowcast_proxy.errors import Forbidden, Unauthorized
from rowcast_proxy.tokens import Caller, TokenVerifier

from .clients import SECRET, token

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


def verifier(**settings: Any) -> TokenVerifier:
    return TokenVerifier(SECRET, **settings)


def identify(made: str, **settings: Any) -> Caller:
    return verifier(**settings).verify(f"Bearer {made}")


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(
    header: object, payload: object, secret: str = SECRET, digest: Any = hashlib.sha256
) -> str:
    """Return a handmade token with any header and any payload, properly signed."""
    parts = [part if isinstance(part, bytes) else _json(part) for part in (header, payload)]
    signed = ".".join(base64url(part) for part in parts)
    signature = hmac.new(secret.encode(), signed.encode(), digest).digest()
    return f"{signed}.{base64url(signature)}"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


HS256 = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {"team_id": "blue"}


def refused(authorization: str | None, **settings: Any) -> dict[str, str]:
    with pytest.raises(Unauthorized) as caught:
        verifier(**settings).verify(authorization)
    assert caught.value.message == Unauthorized(token_sent=False).message
    return dict(caught.value.headers)


def test_a_token_names_team_and_token() -> None:
    assert identify(token(team_id="tenstorrent", token_id="debug-test")) == Caller(
        "tenstorrent", "debug-test"
    )


def test_the_token_id_is_optional() -> None:
    assert identify(token(token_id=None)) == Caller("blue", None)


def test_a_handmade_token_verifies_so_the_forgeries_fail_for_their_fault_alone() -> None:
    assert identify(forge(HS256, CLAIMS)).team == "blue"


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_case_insensitive(scheme: str) -> None:
    assert verifier().verify(scheme + token()).team == "blue"


@pytest.mark.parametrize("authorization", [None, ""])
def test_no_token_is_asked_for_one(authorization: str | None) -> None:
    assert refused(authorization) == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Basic Ymx1ZTpibHVl",
        "Bearer not-a-token",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer a.b.c.d",
        "Bearer ..",
        "Bearer \u00e9.\u00e9.\u00e9",
        "Bearer\u00a0" + token(),
        "Bearer\t" + token(),
        token(),
        f"Token {token()}",
        f"Bearer {token()} ",
        f"Bearer {token()},Bearer {token()}",
        f"Bearer {token()} Bearer {token()}",
        f'Bearer "{token()}"',
        f"Bearer {token()}\n",
    ],
)
def test_what_is_not_exactly_one_token_is_refused(authorization: str) -> None:
    assert refused(authorization) == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_alg_none(name: str) -> None:
    signed = forge({"alg": name, "typ": "JWT"}, CLAIMS)
    unsigned = signed.rpartition(".")[0] + "."
    refused(f"Bearer {signed}")
    refused(f"Bearer {unsigned}")


@pytest.mark.parametrize(("name", "digest"), [("HS384", hashlib.sha384), ("HS512", hashlib.sha512)])
def test_another_algorithm_with_the_right_secret(name: str, digest: Any) -> None:
    refused(f"Bearer {forge({'alg': name}, CLAIMS, digest=digest)}")


@pytest.mark.parametrize(
    "name", ["RS256", "ES256", "EdDSA", "hs256", "HS256 ", 256, None, ["HS256"]]
)
def test_an_algorithm_that_is_not_ours(name: object) -> None:
    refused(f"Bearer {forge({'alg': name}, CLAIMS)}")


def test_a_public_key_used_as_the_secret() -> None:
    refused(f"Bearer {forge(HS256, CLAIMS, secret=PUBLIC_KEY)}")
    refused(f"Bearer {forge({'alg': 'RS256'}, CLAIMS, secret=PUBLIC_KEY)}")


def test_no_algorithm_at_all() -> None:
    refused(f"Bearer {forge({'typ': 'JWT'}, CLAIMS)}")


def test_tampered_claims() -> None:
    head, _, signature = token().split(".")
    refused(f"Bearer {head}.{base64url(_json({'team_id': 'red'}))}.{signature}")


def test_a_signature_that_is_short_or_of_another_token() -> None:
    signed, _, signature = token().rpartition(".")
    refused(f"Bearer {signed}.{signature[:-4]}")
    refused(f"Bearer {signed}.{token(team_id='red').rpartition('.')[2]}")
    refused(f"Bearer {signed}.AAAA")


@pytest.mark.parametrize("secret", ["", "secret", SECRET[:-1], SECRET + "x"])
def test_another_secret(secret: str) -> None:
    refused(f"Bearer {forge(HS256, CLAIMS, secret=secret)}")


@pytest.mark.parametrize(
    "extra",
    [
        {"kid": "../../dev/null"},
        {"kid": "x' UNION SELECT 'key"},
        {"jku": "http://127.0.0.1:1/keys"},
        {"jwk": {"kty": "oct", "k": base64url(b"mine")}},
        {"x5u": "http://127.0.0.1:1/cert"},
    ],
)
def test_the_header_cannot_choose_the_key(extra: dict[str, object]) -> None:
    refused(f"Bearer {forge({**HS256, **extra}, CLAIMS, secret='mine')}")
    assert identify(forge({**HS256, **extra}, CLAIMS)).team == "blue"


def test_an_unknown_critical_extension() -> None:
    refused(f"Bearer {forge({**HS256, 'crit': ['future'], 'future': 1}, CLAIMS)}")


def test_an_unencoded_payload() -> None:
    refused(f"Bearer {forge({**HS256, 'b64': False, 'crit': ['b64']}, CLAIMS)}")


@pytest.mark.parametrize(
    "header", [b"[]", b"{", b"\xff", b"null", b'"HS256"', b"[" * 3000, b'{"alg":' + b"[" * 2000]
)
def test_a_header_that_is_no_json_object(header: bytes) -> None:
    refused(f"Bearer {forge(header, CLAIMS)}")


@pytest.mark.parametrize("payload", [b"[]", b"{", b"\xff", b"null", b'"blue"', b"[" * 2500])
def test_a_payload_that_is_no_json_object(payload: bytes) -> None:
    refused(f"Bearer {forge(HS256, payload)}")


def test_a_huge_token() -> None:
    refused(f"Bearer {forge(HS256, {**CLAIMS, 'x': 'y' * 5000})}")


def test_exp_is_honoured_when_present() -> None:
    now = int(time.time())
    assert identify(token(exp=now + 60)).team == "blue"
    refused(f"Bearer {token(exp=now - 60)}")


def test_nbf_is_honoured_when_present() -> None:
    now = int(time.time())
    assert identify(token(nbf=now - 60)).team == "blue"
    refused(f"Bearer {token(nbf=now + 60)}")


def test_leeway_forgives_clocks() -> None:
    now = int(time.time())
    assert identify(token(exp=now - 60, nbf=now + 60), leeway_seconds=100).team == "blue"


def test_exp_can_be_required() -> None:
    refused(f"Bearer {token()}", require_exp=True)
    assert identify(token(exp=int(time.time()) + 60), require_exp=True).team == "blue"


@pytest.mark.parametrize("exp", ["soon", [], {}, "NaN", 1e400, float("nan")])
def test_an_exp_that_is_no_number(exp: object) -> None:
    refused(f"Bearer {forge(HS256, {**CLAIMS, 'exp': exp})}")


def test_a_token_made_for_another_audience() -> None:
    refused(f"Bearer {token(aud='another service')}")


@pytest.mark.parametrize(
    "team", [None, "", "   ", 7, True, ["blue"], {"a": 1}, "x" * 257, "\ud800"]
)
def test_no_usable_team_is_forbidden_and_told(team: object) -> None:
    with pytest.raises(Forbidden, match="team_id"):
        identify(forge(HS256, {"team_id": team}))


def test_a_token_without_team_is_told_so() -> None:
    with pytest.raises(Forbidden, match="The token carries no team_id"):
        identify(forge(HS256, {"token_id": "t"}))


@pytest.mark.parametrize("token_id", ["", 7, [], "x" * 257, "\udfff"])
def test_an_unusable_token_id_is_forbidden(token_id: object) -> None:
    with pytest.raises(Forbidden, match="token_id"):
        identify(forge(HS256, {**CLAIMS, "token_id": token_id}))


def test_a_token_may_be_a_scrapers() -> None:
    assert identify(token(metrics=True)) == Caller("blue", "t-1", scraper=True)


@pytest.mark.parametrize("claim", [False, None, "true", 1, [True]])
def test_a_metrics_claim_other_than_true_makes_no_scraper(claim: object) -> None:
    assert identify(token(metrics=claim)) == Caller("blue", "t-1")


def test_a_token_may_be_an_administrators() -> None:
    assert identify(token(admin=True)) == Caller("blue", "t-1", admin=True)
    assert not identify(token()).admin


@pytest.mark.parametrize("claim", [False, None, "true", "True", "1", 1, 1.0, [True], {"a": True}])
def test_an_admin_claim_other_than_true_makes_no_administrator(claim: object) -> None:
    assert identify(token(admin=claim)) == Caller("blue", "t-1", admin=False)


@pytest.mark.parametrize("name", ["Admin", "ADMIN", "admin ", "is_admin", "x-rowcast-admin"])
def test_a_claim_of_another_name_makes_no_administrator(name: str) -> None:
    assert not identify(token(**{name: True})).admin


def test_of_a_claim_said_twice_the_one_verified_is_the_one_used() -> None:
    twice = b'{"team_id": "red", "team_id": "blue"}'
    made = forge(HS256, twice)
    told = jwt.decode(made, SECRET, algorithms=["HS256"])
    assert identify(made).team == told["team_id"] == "blue"


@pytest.mark.parametrize("team", ["Équipe bleue", "青", "a b\r\nX-Evil: 1", "💙", "a" * 256])
def test_any_text_may_name_a_team(team: str) -> None:
    assert identify(token(team_id=team)).team == team
