"""The kinds of the settings for traces, which server and proxy share.

The variables that begin with OTEL_ are OpenTelemetry's own.
"""

from typing import Literal
from urllib.parse import unquote, urlsplit

from rowcast_settings.compounds import Fitting
from rowcast_settings.kinds import Choice, Kind, Number, Text
from rowcast_settings.secret import Secret, SecretText

Switched = Literal["auto", "on", "off"]


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return False
    beyond = url.query or url.fragment or port == 0
    return url.scheme in {"http", "https"} and bool(url.hostname) and not beyond


def _are_headers(secret: Secret) -> bool:
    try:
        return bool(headers_of(secret))
    except ValueError:
        return False


SWITCH: Kind[Switched] = Choice(("auto", "on", "off"), any_case=True)
ENDPOINT = Fitting(Text(), _is_url, "must look like http://host:4318, without ? and #")
HEADERS = Fitting(
    SecretText(), _are_headers, "must be name=value, separated by commas, in printable ASCII"
)
SHARE = Number(0, 1)


def headers_of(secret: Secret | None) -> dict[str, str]:
    """Return the headers of OTEL_EXPORTER_OTLP_HEADERS. Raises ValueError if they are malformed."""
    headers = {}
    for each in secret.get_secret_value().split(",") if secret else ():
        name, equals, value = each.partition("=")
        name, value = name.strip(), unquote(value.strip())
        plain = value.isascii() and value.isprintable()
        if not (equals and plain and name.replace("-", "").replace("_", "").isalnum()):
            raise ValueError("not a list of headers")
        headers[name] = value
    return headers
