"""The command line of a table of settings: a flag for each variable, and `--no-` for switches.

In: arguments. Out: the texts of the flags that are given. A bad flag ends the process with status
2, --help with 0.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from rowcast_settings.fields import Field
from rowcast_settings.kinds import Switch


def read_flags(
    parser: argparse.ArgumentParser, fields: Mapping[str, Field[Any]], arguments: Sequence[str]
) -> dict[str, object]:
    """Return the values of the flags that are given and not empty."""
    add_flags(parser, fields)
    return flags_in(parser.parse_args(arguments), fields)


def add_flags(parser: argparse.ArgumentParser, fields: Mapping[str, Field[Any]]) -> None:
    """Add the flags to a parser that may have other arguments."""
    for field in fields.values():
        _add(parser, field)


def flags_in(found: argparse.Namespace, fields: Mapping[str, Field[Any]]) -> dict[str, object]:
    """Return the values of the flags that are given and not empty."""
    return {name: value for name, value in vars(found).items() if name in fields and value != ""}


def _add(parser: argparse.ArgumentParser, field: Field[Any]) -> None:
    shared: dict[str, Any] = {
        "dest": field.name,
        "default": argparse.SUPPRESS,
        "help": _help(field).replace("%", "%%"),
    }
    if isinstance(field.kind, Switch):
        off = tuple(f"--no-{flag.removeprefix('--')}" for flag in field.flags)
        parser.add_argument(
            *field.flags, *off, action=_Switched, nargs=0, const=field.flags, **shared
        )
    else:
        parser.add_argument(*field.flags, metavar=field.kind.word, **shared)


def _help(field: Field[Any]) -> str:
    default = "none" if field.default is None else field.default
    return f"{field.description} ({'required' if field.remedy else f'default: {default}'})"


class _Switched(argparse.Action):
    """Store true if the flag is one of `const`, and false if it is the opposite of one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: object,  # noqa: ARG002
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, option_string in self.const)
