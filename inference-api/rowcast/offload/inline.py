"""Runs tasks at once, in this process and without limits, for trusted callers."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from rowcast.offload.pool import Client
from rowcast.offload.tasks import Tools

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Inline:
    """An `Offload` without helpers."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(
        self,
        client: Client,  # noqa: ARG002
        task: "Callable[Concatenate[Tools, _Arguments], _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        return task(self._tools, *arguments, **named)

    def start(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def close(self) -> None:
        """Do nothing: there is nothing to end."""
