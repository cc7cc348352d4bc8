"""Markdown tables of the sampling parameters, for docs/.

    python -m rowcast.frontend.api.documents.tables PAGE

prints the table of a page; `make docs` puts it in place.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import NODEFAULT, Meta

from rowcast.parameter import MOST, Biases, Parameter, Tokens
from rowcast.sampling_params import PARAMETERS, EarlyStopping

TYPES: dict[Any, str] = {
    int: "whole number",
    float: "number",
    bool: "true / false",
    str: "string",
    Tokens: "token ids",
    Biases: "token ids with numbers",
    EarlyStopping: 'true / false / "never"',
}
DEFAULTS: dict[Any, str] = {NODEFAULT: "required", (): "none", "": "none", False: "false"}


def native_table() -> str:
    """Return the parameters of the native dialect."""
    return _table(
        (
            each,
            each.name,
            f"{each.native.default}",
            f"{each.native.least:g} to {each.native.most:g}",
        )
        for each in PARAMETERS
        if each.native
    )


def openai_table() -> str:
    """Return the parameters of the OpenAI dialect; `logit_bias` is sent as an object."""
    return _table(
        (each, each.openai_name, _default(each), _allowed(each.openai_bounds))
        for each in PARAMETERS
        if each.openai
    )


def receipt_table() -> str:
    """Return all parameters, as receipts hold them."""
    return _table((each, each.name, _default(each), _allowed(each.bounds)) for each in PARAMETERS)


TABLES: dict[str, Callable[[], str]] = {
    "api.md": native_table,
    "openai.md": openai_table,
    "receipts.md": receipt_table,
}


def _table(rows: Iterable[tuple[Parameter, str, str, str]]) -> str:
    lines = ["| name | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for each, name, default, allowed in rows:
        cells = (f"`{name}`", TYPES[each.type], default, allowed, each.meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _default(parameter: Parameter) -> str:
    """Return the default as JSON has it."""
    value = parameter.default
    return str(value) if type(value) in (int, float) else DEFAULTS[value]


def _allowed(bounds: Meta | None) -> str:
    if bounds is None:
        return ""
    if bounds.max_length is not None:
        return f"at most {bounds.max_length}"
    least = f"above {bounds.gt:g}" if bounds.gt is not None else f"{bounds.ge:g}"
    return f"from {least}" if bounds.le == MOST else f"{least} to {bounds.le:g}"


if __name__ == "__main__":
    sys.stdout.write(TABLES[sys.argv[1]]())
