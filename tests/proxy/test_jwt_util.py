"""scripts/jwt_util.py, run as a user runs it.

Covers `jwt_util`.
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import jwt
import pytest

from processes import ROOT

from .clients import SECRET, token

SCRIPT = ROOT / "scripts" / "jwt_util.py"
CLAIMS = '{"team_id": "tenstorrent", "token_id":"debug-test"}'


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "default", str(SCRIPT), *arguments],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fails(status: int, word: str, *arguments: str, **env: str) -> None:
    done = run(*arguments, **env)
    assert done.returncode == status
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def claims_of(printed: str, secret: str = SECRET) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(printed.strip(), secret, algorithms=["HS256"])
    return claims


def test_it_can_be_executed() -> None:
    assert os.access(SCRIPT, os.X_OK)
    assert SCRIPT.read_text().startswith("#!/usr/bin/env python3\n")


def test_encode_prints_the_token_and_nothing_else() -> None:
    done = run("--secret", SECRET, "encode", CLAIMS)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert claims_of(done.stdout) == json.loads(CLAIMS)


@pytest.mark.slow
def test_the_secret_of_the_example_works_without_a_remark() -> None:
    done = run("--secret", "test-secret-123", "encode", CLAIMS)
    assert (done.returncode, done.stderr) == (0, "")
    assert run("--secret", "test-secret-123", "decode", done.stdout.strip()).returncode == 0


@pytest.mark.slow
def test_the_secret_may_come_from_the_environment() -> None:
    made = run("encode", CLAIMS, JWT_SECRET=SECRET).stdout
    assert claims_of(made) == json.loads(CLAIMS)
    assert json.loads(run("decode", made.strip(), JWT_SECRET=SECRET).stdout) == json.loads(CLAIMS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_a_token_may_expire(text: str, seconds: int) -> None:
    before = int(time.time())
    made = run("--secret", SECRET, "encode", CLAIMS, "--expires-in", text).stdout
    expiry = claims_of(made)["exp"]
    assert isinstance(expiry, int)
    assert before + seconds <= expiry <= int(time.time()) + seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "1y", "h", "1.5h", "one hour", "9999999999"])
def test_a_lifetime_that_is_none(text: str) -> None:
    fails(2, "--expires-in", "--secret", SECRET, "encode", CLAIMS, f"--expires-in={text}")


def test_a_token_may_be_an_administrators() -> None:
    made = run("--secret", SECRET, "encode", '{"team_id": "a", "admin": false}', "--admin")
    assert claims_of(made.stdout) == {"team_id": "a", "admin": True}
    assert "admin" not in claims_of(run("--secret", SECRET, "encode", CLAIMS).stdout)


def test_claims_must_be_json() -> None:
    fails(2, "not valid JSON", "--secret", SECRET, "encode", "{'team_id': 'x'}")


@pytest.mark.parametrize("claims", ["[]", '"x"', "7", "null"])
def test_claims_must_be_an_object(claims: str) -> None:
    fails(2, "JSON object", "--secret", SECRET, "encode", claims)


def test_claims_that_no_token_can_carry() -> None:
    fails(2, "cannot be made", "--secret", SECRET, "encode", '{"iss": 7}')


@pytest.mark.slow
def test_no_secret() -> None:
    fails(2, "JWT_SECRET", "encode", CLAIMS)
    fails(2, "JWT_SECRET", "--secret", " ", "encode", CLAIMS)


def test_no_command() -> None:
    fails(2, "usage", "--secret", SECRET)


def test_a_wrong_signature() -> None:
    fails(1, "signature is wrong", "--secret", "x" * 32, "decode", token())


def test_an_expired_token() -> None:
    past = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    fails(1, "expired", "--secret", SECRET, "decode", token(exp=past))


def test_a_token_that_is_not_valid_yet() -> None:
    fails(1, "not valid yet", "--secret", SECRET, "decode", token(nbf=int(time.time()) + 1000))


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "é.é.é"])
def test_no_token_at_all(text: str) -> None:
    fails(1, "not a valid token", "--secret", SECRET, "decode", text)


def test_an_unsigned_token() -> None:
    unsigned = jwt.encode({"team_id": "x"}, "", algorithm="none")
    fails(1, "not a valid token", "--secret", SECRET, "decode", unsigned)
