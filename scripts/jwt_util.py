#!/usr/bin/env python3
"""Makes and reads the tokens that the proxy requires (HS256).

    jwt_util.py --secret S encode '{"team_id": "a-team", "token_id": "a-token"}' [--expires-in 7d]
    jwt_util.py --secret S encode '{"team_id": "a-team"}' --admin
    jwt_util.py --secret S decode TOKEN

Prints the token (or its claims) and nothing else, so that the output can go into a variable.
Without --secret, the secret is JWT_SECRET. Needs only PyJWT. Exit status: 0, 1 for a token that
does not verify, 2 for an invalid call.
"""

import argparse
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

try:
    import jwt
except ImportError:
    sys.exit("jwt_util.py needs PyJWT: pip install pyjwt")

NAME = os.environ.get("ROWCAST_COMMAND") or "jwt_util.py"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class BadCall(Exception):
    """The arguments are invalid; the text says what to change."""


class BadToken(Exception):
    """The token does not verify; the text says why."""


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(_run(arguments))
    except BadCall as error:
        return _fail(2, error)
    except BadToken as error:
        return _fail(1, error)
    return 0


def encode(secret: str, claims_json: str, expires_in: int | None, *, admin: bool = False) -> str:
    claims = _claims(claims_json)
    if admin:
        claims["admin"] = True
    if expires_in is not None:
        claims["exp"] = int(time.time()) + expires_in
    try:
        return jwt.encode(claims, secret, algorithm="HS256")
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise BadCall(f"These claims cannot be made into a token: {error}") from None


def decode(secret: str, token: str) -> str:
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"verify_aud": False})
    except jwt.ExpiredSignatureError:
        raise BadToken("The token has expired.") from None
    except jwt.ImmatureSignatureError:
        raise BadToken("The token is not valid yet.") from None
    except jwt.InvalidSignatureError:
        raise BadToken("The signature is wrong: another secret made it, or it changed.") from None
    except jwt.PyJWTError as error:
        raise BadToken(f"This is not a valid token: {error}") from None
    return json.dumps(claims)


def duration(text: str) -> int:
    """Return '3600', '90m', '1h' or '7d' as seconds."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration: write 3600, 90m, 1h or 7d")
    return int(found[1]) * SECONDS[found[2] or "s"]


def _run(arguments: argparse.Namespace) -> str:
    secret = arguments.secret or os.environ.get("JWT_SECRET", "")
    if not secret.strip():
        raise BadCall("No secret: pass --secret or set JWT_SECRET.")
    # The proxy itself warns about short secrets, once, when it starts.
    warnings.simplefilter("ignore")
    if arguments.command == "encode":
        return encode(secret, arguments.claims, arguments.expires_in, admin=arguments.admin)
    return decode(secret, arguments.token)


def _claims(text: str) -> dict[str, Any]:
    try:
        claims = json.loads(text)
    except ValueError as error:
        raise BadCall(f"The claims are not valid JSON: {error}") from None
    if not isinstance(claims, dict):
        raise BadCall('The claims must be a JSON object, like \'{"team_id": "a-team"}\'.')
    return claims


def _fail(status: int, error: Exception) -> int:
    print(f"{NAME}: {error}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME, description="Makes and reads the tokens that the proxy asks for."
    )
    parser.add_argument("--secret", help="signs the token; without it, JWT_SECRET does")
    commands = parser.add_subparsers(dest="command", required=True)
    encoding = commands.add_parser("encode", help="print a token that carries these claims")
    encoding.add_argument("claims", help="a JSON object with team_id and, optionally, token_id")
    encoding.add_argument(
        "--expires-in", type=duration, metavar="TIME", help="seconds, or 90m, 1h, 7d"
    )
    encoding.add_argument(
        "--admin", action="store_true", help="add the claim admin, which allows loading models"
    )
    decoding = commands.add_parser("decode", help="verify a token and print its claims")
    decoding.add_argument("token")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
