"""T-19 and T-36 to T-39: the script makes tokens, a header carries them, the proxy checks them."""

import os
import subprocess
from pathlib import Path

import jwt
import pytest

from contract.asking import is_error, post
from contract.conftest import JWT_SECRET, PROXY_SECRET, Stack, encoded
from processes import ROOT, SCRIPTS, Running, running_proxy, until

SHORT = {"text": "Hello", "max_tokens": 4}


def test_t19_jwt_util_prints_a_token_that_the_proxy_accepts(stack: Stack) -> None:
    assert os.access(ROOT / "scripts/jwt_util.py", os.X_OK)
    command = (
        """export AUTHORIZATION="Bearer $(./scripts/jwt_util.py --secret ${JWT_SECRET} """
        """encode '{"team_id": "tenstorrent", "token_id":"debug-test"}')"; """
        """printf '%s' "$AUTHORIZATION" """
    )
    env = os.environ | {"JWT_SECRET": JWT_SECRET, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"}
    typed = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=env, check=True, capture_output=True, timeout=30
    )
    answer = post(stack.proxy.port, SHORT, Authorization=typed.stdout.decode())
    assert answer.status == 200


def test_t36_requests_are_authenticated_by_the_authorization_header(stack: Stack) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    assert post(stack.proxy.port, SHORT, Authorization=f"Bearer {token}").status == 200
    for refused in (token, f"Basic {token}", f"Bearer {token[:-4]}AAAA", "Bearer"):
        assert is_error(post(stack.proxy.port, SHORT, Authorization=refused), 401)
    assert is_error(post(stack.proxy.port, SHORT), 401)


def test_t37_proxy_and_jwt_util_share_jwt_secret(stack: Stack) -> None:
    other = encoded('{"team_id": "tenstorrent"}', "another secret, which the proxy does not know")
    assert is_error(post(stack.proxy.port, SHORT, Authorization=f"Bearer {other}"), 401)
    same = encoded('{"team_id": "tenstorrent"}', JWT_SECRET)
    assert post(stack.proxy.port, SHORT, Authorization=f"Bearer {same}").status == 200


def test_t38_the_claims_are_team_id_and_token_id_and_no_more_is_needed(stack: Stack) -> None:
    token = encoded('{"team_id": "team one", "token_id":"a/b"}')
    assert set(jwt.decode(token, JWT_SECRET, algorithms=["HS256"])) == {"team_id", "token_id"}
    named = {"Authorization": f"Bearer {token}", "X_Request_ID": "claims-of-t38"}
    assert post(stack.proxy.port, SHORT, **named).status == 200
    until(lambda: "request=claims-of-t38" in stack.server.output(), "the request is logged")
    (line,) = (
        each for each in stack.server.output().splitlines() if "request=claims-of-t38" in each
    )
    assert "team='team one'" in line
    assert "token_id=a/b" in line


def test_t38_nobody_speaks_for_a_team_without_the_proxy(stack: Stack, server: Running) -> None:
    claimed = {"X_Rowcast_Team": "somebody", "X_Request_ID": "claimed-in-t38"}
    assert is_error(post(stack.server.port, SHORT, **claimed), 403, "serves only its proxy")
    assert post(server.port, SHORT, **claimed).status == 200  # it has no secret and no teams
    until(lambda: "request=claimed-in-t38" in server.output(), "the request is logged")
    (line,) = (each for each in server.output().splitlines() if "request=claimed-in-t38" in each)
    assert "somebody" not in line
    assert "somebody" not in stack.server.output()
    assert PROXY_SECRET not in stack.server.output() + stack.proxy.output()


@pytest.mark.slow
@pytest.mark.parametrize("weak", ["test-secret-456", "short"])
def test_t39_the_proxy_warns_of_weak_secrets(weak: str, server: Running, tmp_path: Path) -> None:
    with running_proxy(tmp_path, server, env={"JWT_SECRET": weak}) as proxy:
        output = proxy.output()
    assert "JWT_SECRET" in output
    assert "WARNING" in output
    assert f"={weak}" not in output


def test_t39_a_strong_secret_is_not_complained_of(stack: Stack) -> None:
    assert "JWT_SECRET" not in stack.proxy.output()
