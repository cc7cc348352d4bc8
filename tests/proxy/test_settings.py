"""Settings: variables, flags, and error messages about them."""

import pytest

from rowcast_proxy.listening.serving import gunicorn_options
from rowcast_proxy.settings import ProxySettings, SettingsError, settings_table

from .clients import SECRET

SHARED = "a secret of the two, which is long enough"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ProxySettings.fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("JWT_SECRET", SECRET)


def complaint(*argv: str) -> str:
    with pytest.raises(SettingsError) as caught:
        ProxySettings.load(argv)
    return str(caught.value)


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = ProxySettings.load([])
    assert (settings.proxy_host, settings.proxy_port) == ("127.0.0.1", 1223)
    assert settings.upstream_address == ("127.0.0.1", 7000)


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_PORT", "3000")
    monkeypatch.setenv("JWT_REQUIRE_EXP", "1")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    settings = ProxySettings.load([])
    assert (settings.proxy_port, settings.jwt_require_exp) == (3000, True)
    assert settings.log_level == "debug"


def test_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_PORT", "3000")
    settings = ProxySettings.load(["--proxy-port", "3001", "--no-jwt-require-exp"])
    assert (settings.proxy_port, settings.jwt_require_exp) == (3001, False)


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_SECRET", "")
    monkeypatch.setenv("PROXY_PORT", "")
    settings = ProxySettings.load([])
    assert settings.proxy_secret is None
    assert settings.proxy_port == 1223


@pytest.mark.parametrize("secret", [None, "", "   "])
def test_the_secret_is_required(monkeypatch: pytest.MonkeyPatch, secret: str | None) -> None:
    monkeypatch.delenv("JWT_SECRET")
    if secret is not None:
        monkeypatch.setenv("JWT_SECRET", secret)
    assert complaint().startswith("JWT_SECRET")


def test_all_that_is_wrong_is_said_together_and_no_secret_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROXY_SECRET", "line\nbreak-of-the-secret")
    monkeypatch.setenv("PROXY_PORT", "70000")
    monkeypatch.setenv("PROXY_WORKERS", "many")
    monkeypatch.setenv("UPSTREAM_URL", "https://127.0.0.1:7000")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    said = complaint()
    names = {line.partition(":")[0] for line in said.splitlines()}
    assert names == {"PROXY_SECRET", "PROXY_PORT", "PROXY_WORKERS", "UPSTREAM_URL", "LOG_LEVEL"}
    assert "break-of-the-secret" not in said


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:7000",
        "https://127.0.0.1:7000",
        "http://",
        "http://:7000",
        "http://a:0",
        "http://a:99999",
        "http://a:x",
        "http://a:7000/base",
        "http://a:7000?x",
        "http://user:pw@a:7000",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_only_an_origin_can_be_upstream(url: str) -> None:
    assert complaint("--upstream-url", url).startswith("UPSTREAM_URL: must look like")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://server:7000", ("server", 7000)),
        ("http://server", ("server", 80)),
        ("http://[::1]:7000/", ("::1", 7000)),
    ],
)
def test_origins_are_understood(url: str, address: tuple[str, int]) -> None:
    assert ProxySettings.load(["--upstream-url", url]).upstream_address == address


def test_secrets_never_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_SECRET", "a-shared-secret")
    settings = ProxySettings.load([])
    shown = repr(settings) + str(settings) + str(settings.values())
    assert SECRET not in shown
    assert "a-shared-secret" not in shown


@pytest.mark.parametrize(
    ("secret", "word"),
    [
        ("test-secret-123", "well-known"),
        ("Test-Secret-456", "well-known"),
        ("changeme", "well-known"),
        ("a-string-secret-at-least-256-bits-long", "well-known"),
        ("only-some-bytes", "shorter than 32 bytes"),
    ],
)
def test_weak_secrets_are_warned_about(
    monkeypatch: pytest.MonkeyPatch, secret: str, word: str
) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    monkeypatch.setenv("PROXY_SECRET", SHARED)
    (warning,) = ProxySettings.load([]).warnings
    assert word in warning
    assert secret not in warning


def test_claims_that_will_not_be_trusted_are_warned_about() -> None:
    (warning,) = ProxySettings.load([]).warnings
    assert "PROXY_SECRET" in warning


def test_a_strong_set_up_is_not_warned_about() -> None:
    assert ProxySettings.load(["--proxy-secret", SHARED]).warnings == []


def test_a_short_proxy_secret_is_warned_about() -> None:
    (warning,) = ProxySettings.load(["--proxy-secret", "shared"]).warnings
    assert warning == "PROXY_SECRET is shorter than 32 bytes: it can be guessed."


def test_one_secret_for_both_ends_is_warned_about() -> None:
    (warning,) = ProxySettings.load(["--proxy-secret", SECRET]).warnings
    assert warning.startswith("PROXY_SECRET equals JWT_SECRET")


@pytest.mark.parametrize(
    ("listed", "origins"),
    [
        ("", set()),
        ("*", {"*"}),
        (
            " https://a.example ,http://localhost:3000",
            {"https://a.example", "http://localhost:3000"},
        ),
        (
            "http://[::1]:8080,chrome-extension://abc",
            {"http://[::1]:8080", "chrome-extension://abc"},
        ),
    ],
)
def test_origins_of_pages_are_listed(listed: str, origins: set[str]) -> None:
    assert ProxySettings.load(["--proxy-cors-origins", listed]).cors_origins == origins


@pytest.mark.parametrize(
    "listed", ["a.example", "https://a.example/", "https://A.example", "https://*.example", "null"]
)
def test_what_no_browser_sends_is_no_origin(listed: str) -> None:
    assert "PROXY_CORS_ORIGINS: must be *" in complaint("--proxy-cors-origins", listed)


def test_the_table_has_a_row_for_every_setting() -> None:
    table = settings_table()
    for name in ProxySettings.fields:
        assert f"| `{name.upper()}` | `--{name.replace('_', '-')}` |" in table
    assert SECRET not in table


def test_ipv6_addresses_can_be_bound() -> None:
    settings = ProxySettings.load(["--proxy-host", "::1", "--proxy-port", "9"])
    assert gunicorn_options(settings)["bind"] == "[::1]:9"


def test_gunicorn_is_set_for_exposure() -> None:
    options = gunicorn_options(ProxySettings.load([]))
    assert options["keepalive"] != 0
    assert options["control_socket_disable"] is True
    assert options["accesslog"] is None
    assert options["forwarder_headers"] == ""
