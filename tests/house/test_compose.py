"""docker-compose.yml passes on every documented setting that a container can have, if it is set.

Compose itself is not run: `environment_of` does what Compose does with a service's `environment`,
and the settings are read from the result.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.asking import serves
from processes import ROOT, running_server
from rowcast.settings import Settings, read_settings
from rowcast_proxy.settings import ProxySettings
from rowcast_settings.fields import Field

Kind = type[Settings] | type[ProxySettings]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SECRETS = {"JWT_SECRET": "a" * 40, "PROXY_SECRET": "b" * 40}

# Values that our containers fix themselves, and why.
FIXED = {
    "HOST": "the proxy's container reaches it at any address",
    "PORT": "UPSTREAM_URL names it",
    "MODEL_ROOT": "the volume is mounted there",
    "MODEL_WEKA_DIR": "the volume is mounted there",
    "BACKEND_SOCKET": "the backend is in the same container",
    "ALLOWED_HOSTS": "says nothing where PROXY_SECRET is set, and it has to be",
    "PROXY_HOST": "the port is published by Docker",
    "PROXY_PORT": "the port is published by Docker",
    "UPSTREAM_URL": "is the other service",
}
VALUES = {
    "prefix_scope": "token",
    "pooling": "mean",
    "prefix_memory": "2000000",
    "prefix_folder": "/mnt/prefixes",
    "model": "somebody/a-model",
    "models": "config/model_config.json",
    "config_file": "/mnt/generation.json",
    "model_name": "house",
    "chat_template": "/mnt/a.jinja",
    "hub_cache": "/mnt/hub",
    "dtype": "int8",
    "gpu_memory": "0.5",
    "arithmetic": "plain",
    "device": "cpu",
    "image_suffix": "v2",
    "journal": "/mnt/another.db",
    "proxy_secret": "c" * 40,
    "log_level": "debug",
    "metrics_names": "vllm",
    "log_format": "json",
    "traces": "on",
    "otel_exporter_otlp_endpoint": "http://collector:4318",
    "otel_exporter_otlp_headers": "api-key=ours",
    "otel_service_name": "ours",
    "otel_traces_sampler_arg": "0.5",
    "jwt_secret": "d" * 40,
    "proxy_cors_origins": "https://a.example",
}


def environment_of(service: str, shell: Mapping[str, str]) -> dict[str, str]:
    """Return a service's variables when Compose runs with the variables of `shell`."""
    (lines,) = re.findall(
        rf"^  {service}:\n(?:    .*\n)*?    environment:\n((?: {{6}}.*\n)+)", COMPOSE, re.MULTILINE
    )
    found = {}
    for name, value in re.findall(r"^ {6}([A-Z0-9_]+):(.*)$", lines, re.MULTILINE):
        if value.strip():
            found[name] = re.sub(
                r"\$\{(\w+):[-?]([^}]*)\}",
                lambda each: shell.get(each[1]) or each[2],
                value.strip(' "'),
            )
        elif name in shell:
            found[name] = shell[name]
    return found


def variables(fields: Mapping[str, Field[Any]]) -> list[tuple[str, str]]:
    """Return every documented variable, with the name of its setting."""
    found = [(each, name) for name, field in fields.items() for each in field.variables]
    return [(variable, name) for variable, name in found if variable not in FIXED]


def value_for(name: str, default: Any) -> str:
    """Return a value that a user may set, other than the default."""
    if name in VALUES:
        return VALUES[name]
    return str(int(not default)) if isinstance(default, bool) else str(default + 1)


def settings_in(
    service: str,
    kind: Kind,
    shell: Mapping[str, str],
    patch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Return what the service's program reads in its container."""
    for variable, _ in variables(kind.fields):
        patch.delenv(variable, raising=False)
    for variable, value in environment_of(service, SECRETS | dict(shell)).items():
        patch.setenv(variable, value)
    return (read_settings() if kind is Settings else ProxySettings.load([])).values()


SERVICES: list[tuple[str, Kind]] = [("server", Settings), ("proxy", ProxySettings)]
SETTABLE = [
    (service, kind, variable, name)
    for service, kind in SERVICES
    for variable, name in variables(kind.fields)
]


@pytest.mark.parametrize(("service", "kind", "variable", "name"), SETTABLE)
def test_every_setting_reaches_its_service(
    service: str,
    kind: Kind,
    variable: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = value_for(name, kind.fields[name].default)
    calm = settings_in(service, kind, {}, monkeypatch)
    told = settings_in(service, kind, {variable: value}, monkeypatch)
    changed = {each for each in calm if told[each] != calm[each]}
    assert changed == {name}


@pytest.mark.parametrize(("service", "kind"), SERVICES)
def test_empty_variables_change_nothing(
    service: str, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line `DTYPE=` in the file .env sets it to an empty value, which Compose passes on."""
    empty = {variable: "" for variable, _ in variables(kind.fields) if variable not in SECRETS}
    assert settings_in(service, kind, empty, monkeypatch) == settings_in(
        service, kind, {}, monkeypatch
    )


@pytest.mark.slow
def test_an_empty_backend_socket_names_no_backend(tmp_path: Path) -> None:
    with running_server(tmp_path, env={"BACKEND_SOCKET": ""}) as server:
        assert serves(server.port)


@pytest.mark.parametrize(("service", "kind"), SERVICES)
def test_nothing_is_handed_on_that_no_setting_reads(service: str, kind: Kind) -> None:
    known = {variable for variable, _ in variables(kind.fields)} | set(FIXED)
    every = {variable: "1" for _, _, variable, _ in SETTABLE}
    assert set(environment_of(service, every)) <= known


def test_what_a_container_has_by_itself_is_documented() -> None:
    pages = "".join((ROOT / "docs" / page).read_text() for page in ("settings.md", "proxy.md"))
    assert [name for name in FIXED if f"`{name}`" not in pages] == []
