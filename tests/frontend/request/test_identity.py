"""Identity: claims count only with the proxy's secret; plain request ids are kept."""

import pytest
from werkzeug.datastructures import Headers

from rowcast.frontend.request.identity import Caller, caller_of, request_id_of

CLAIMS = {"X-Rowcast-Team": "blue", "X-Rowcast-Token-Id": "debug"}
ADMIN = {"X-Rowcast-Admin": "true"}
HERE = "127.0.0.1"


def headers(**more: str) -> Headers:
    return Headers({**CLAIMS, **more})


def with_secret(secret: str) -> Headers:
    return Headers({**CLAIMS, "X-Rowcast-Proxy-Secret": secret})


def test_claims_with_the_secret_are_believed() -> None:
    assert caller_of(with_secret("sesame"), "sesame") == Caller("blue", "debug")


@pytest.mark.parametrize("shown", ["", "open", "Sesame", "sesame ", "sesam\xe9"])
def test_claims_with_another_secret_are_nobody_s(shown: str) -> None:
    assert caller_of(with_secret(shown), "sesame") == Caller()


def test_claims_without_a_secret_are_nobody_s() -> None:
    assert caller_of(headers(), "sesame") == Caller()


@pytest.mark.parametrize("ours", [None, ""])
@pytest.mark.parametrize("shown", ["", "anything"])
def test_a_server_without_a_secret_believes_nobody(ours: str | None, shown: str) -> None:
    assert caller_of(with_secret(shown), ours) == Caller()


@pytest.mark.parametrize(
    ("sent", "team"),
    [("caf%C3%A9", "café"), ("a%20b%0Ac", "a b\nc"), ("%F0%9F%98%80", "😀"), ("a%2Fb", "a/b")],
)
def test_claims_are_unquoted(sent: str, team: str) -> None:
    sealed = with_secret("sesame")
    sealed["X-Rowcast-Team"] = sent
    assert caller_of(sealed, "sesame").team == team


@pytest.mark.parametrize("sent", ["%FF", "%", "%zz"])
def test_broken_quoting_breaks_nothing(sent: str) -> None:
    sealed = with_secret("sesame")
    sealed["X-Rowcast-Team"] = sent
    caller_of(sealed, "sesame").team.encode()


def test_missing_claims_are_empty() -> None:
    assert caller_of(Headers({"X-Rowcast-Proxy-Secret": "sesame"}), "sesame") == Caller()


def test_the_proxy_names_administrators() -> None:
    vouched = {"X-Rowcast-Proxy-Secret": "sesame", "X-Rowcast-Proxy": "1"}
    assert caller_of(headers(**ADMIN, **vouched), "sesame").admin
    assert not caller_of(headers(**vouched), "sesame", HERE).admin


@pytest.mark.parametrize("claim", ["", "1", "True", "TRUE", "yes", "true,true", "true ", "false"])
def test_no_other_value_makes_an_administrator(claim: str) -> None:
    sealed = headers(**{"X-Rowcast-Proxy-Secret": "sesame", "X-Rowcast-Admin": claim})
    assert not caller_of(sealed, "sesame", HERE).admin


@pytest.mark.parametrize("shown", ["", "open", "Sesame", "sesame "])
def test_with_a_secret_nobody_without_it_is_an_administrator(shown: str) -> None:
    claimed = with_secret(shown) if shown else headers()
    claimed["X-Rowcast-Admin"] = "true"
    assert not caller_of(claimed, "sesame", HERE).admin


@pytest.mark.parametrize("address", [HERE, "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_a_secret_a_caller_on_this_machine_is_an_administrator(address: str) -> None:
    assert caller_of(Headers(), None, address) == Caller(admin=True)


@pytest.mark.parametrize("address", ["", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "local"])
def test_without_a_secret_nobody_elsewhere_is_an_administrator(address: str) -> None:
    assert not caller_of(headers(**ADMIN), None, address).admin


@pytest.mark.parametrize(
    "mark", ["X-Rowcast-Proxy", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"]
)
def test_without_a_secret_nobody_behind_a_proxy_is_an_administrator(mark: str) -> None:
    assert not caller_of(headers(**ADMIN, **{mark: ""}), None, HERE).admin


@pytest.mark.parametrize("sent", ["a", "A-b_c.9", "x" * 128])
def test_a_plain_request_id_is_kept(sent: str) -> None:
    assert request_id_of(Headers({"X-Request-ID": sent})) == sent


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a=b", "é", "a;b", "a,b"])
def test_another_request_id_is_replaced(sent: str) -> None:
    made = request_id_of(Headers({"X-Request-ID": sent}))
    assert made != sent
    assert (len(made), set(made) <= set("0123456789abcdef")) == (32, True)


def test_each_request_without_an_id_gets_its_own() -> None:
    assert request_id_of(Headers()) != request_id_of(Headers())
