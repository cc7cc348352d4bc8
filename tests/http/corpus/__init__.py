"""The corpus: one module per family, each a table `CASES`. `FAMILIES` names them all."""

from ..case import Case
from . import (
    bodies,
    broken_json,
    chunks,
    fields,
    framing,
    headers,
    protocols,
    request_line,
    routes,
    smuggling,
    targets,
)

FAMILIES: dict[str, tuple[Case, ...]] = {
    "request_line": request_line.CASES,
    "targets": targets.CASES,
    "headers": headers.CASES,
    "framing": framing.CASES,
    "chunks": chunks.CASES,
    "smuggling": smuggling.CASES,
    "protocols": protocols.CASES,
    "broken_json": broken_json.CASES,
    "fields": fields.CASES,
    "bodies": bodies.CASES,
    "routes": routes.CASES,
}
