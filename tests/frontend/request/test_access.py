"""Access: only the proxy if there is a secret; otherwise only local names and pages."""

import pytest
from werkzeug.datastructures import Headers

from rowcast.errors import Forbidden, ProxyUnknown
from rowcast.frontend.request.access import Access
from rowcast.settings import read_settings

from ..serving import SECRET, error_of, serving


def access(**settings: str) -> Access:
    return Access.of(read_settings(None, **settings))


def allows(access: Access, **headers: str) -> bool:
    try:
        access.check(Headers({name.replace("_", "-"): value for name, value in headers.items()}))
    except Forbidden:
        return False
    return True


def test_with_a_secret_it_must_be_shown() -> None:
    sealed = access(proxy_secret="sesame")
    assert allows(sealed, X_Rowcast_Proxy_Secret="sesame", Host="any.example", Origin="null")
    assert not allows(sealed, Host="localhost")
    assert not allows(sealed, X_Rowcast_Proxy_Secret="Sesame")


@pytest.mark.parametrize("shown", [{}, {"X-Rowcast-Proxy-Secret": "another"}])
def test_a_proxy_without_it_is_told_what_is_missing(shown: dict[str, str]) -> None:
    with pytest.raises(ProxyUnknown, match="set the same value for both"):
        access(proxy_secret="sesame").check(Headers({"X-Rowcast-Proxy": "1", **shown}))


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("", True),  # every browser sends one
        ("localhost", True),
        ("LOCALHOST:7000", True),
        ("model.localhost", True),
        ("127.0.0.1:7000", True),
        ("127.1.2.3", True),
        ("[::1]:7000", True),
        ("notlocalhost", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.0.2.1", False),
        ("[2001:db8::1]", False),
        ("evil.example", False),
        ("0x7f000001", False),
    ],
)
def test_without_a_secret_the_host_is_local(host: str, allowed: bool) -> None:
    assert allows(access(), Host=host) == allowed
    assert allows(access(), Host="localhost", Origin=f"http://{host}") == (allowed and host != "")


@pytest.mark.parametrize(
    ("settings", "host", "allowed"),
    [
        ({"allowed_hosts": "a.example, B.example"}, "b.example:80", True),
        ({"allowed_hosts": "a.example"}, "c.example", False),
        ({"allowed_hosts": "*"}, "c.example", True),
        ({"host": "box.example"}, "box.example", True),
        ({"host": "192.0.2.1"}, "192.0.2.1:7000", True),
        ({"host": "192.0.2.1"}, "192.0.2.2:7000", False),
        ({"host": "0.0.0.0"}, "192.0.2.2:7000", True),
        ({"host": "0.0.0.0"}, "evil.example", False),
    ],
)
def test_settings_name_more_hosts(settings: dict[str, str], host: str, allowed: bool) -> None:
    assert allows(access(**settings), Host=host) == allowed


@pytest.mark.slow
def test_health_and_documents_are_for_everybody() -> None:
    with serving() as served:
        stranger = served.app.test_client()
        for path in ("/health", "/liveness", "/", "/docs", "/openapi.json"):
            assert stranger.get(path).status_code == 200
        for path in ("/v1/models", "/v1/streams/00"):
            assert stranger.get(path).status_code == 403
        assert "serves only its proxy" in error_of(stranger.post("/", json={"text": "a"}), 403)
        mark = {"X-Rowcast-Proxy": "1", "X-Rowcast-Proxy-Secret": SECRET[1:]}
        error_of(stranger.post("/", json={"text": "a"}, headers=mark), 502)


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({}, False),
        ({"host": "::1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "box.example"}, True),
        ({"host": "0.0.0.0", "proxy_secret": "x" * 32}, False),
        ({"proxy_secret": "short"}, True),
    ],
)
def test_exposure_and_short_secrets_are_warned_about(
    settings: dict[str, str], warned: bool
) -> None:
    warnings = read_settings(None, **settings).warnings
    assert bool(warnings) == warned
    assert all("PROXY_SECRET" in each for each in warnings)
