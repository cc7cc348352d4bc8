"""Rowcast: language models as live text streams. A reply is a value.

    from rowcast import LLM, Model, Server
    Server(Model("storyteller")).fire(port=8000)
    LLM("storyteller").generate("Once upon a time")

Reading order: `wire` (the messages), `frontend/` (HTTP in, chunks out), `transport/` (between
processes), `backend/` (32 rows, one step at a time), `engine/` (computes tokens), `launch/` (starts
and restarts backends). Libraries of these: `text/`, `sampling/`, `journal/`, `offload/`. Importing
this package imports none of them; the names in `_EXPORTS` are imported at their first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rowcast.errors import RowcastError
    from rowcast.offline.async_llm import AsyncLLM, AsyncLLMServer
    from rowcast.offline.llm import LLM
    from rowcast.offline.outputs import CompletionOutput, RequestOutput
    from rowcast.offline.params import (
        GuidedDecodingParams,
        SamplingParams,
        StructuredOutputsParams,
    )
    from rowcast.serving.model import Model
    from rowcast.serving.server import Server

__version__ = "0.1.0"
__all__ = [
    "LLM",
    "AsyncLLM",
    "AsyncLLMServer",
    "CompletionOutput",
    "GuidedDecodingParams",
    "Model",
    "RequestOutput",
    "RowcastError",
    "SamplingParams",
    "Server",
    "StructuredOutputsParams",
    "__version__",
]

_EXPORTS = {
    "LLM": "rowcast.offline.llm",
    "AsyncLLM": "rowcast.offline.async_llm",
    "AsyncLLMServer": "rowcast.offline.async_llm",
    "CompletionOutput": "rowcast.offline.outputs",
    "GuidedDecodingParams": "rowcast.offline.params",
    "RequestOutput": "rowcast.offline.outputs",
    "SamplingParams": "rowcast.offline.params",
    "StructuredOutputsParams": "rowcast.offline.params",
    "Model": "rowcast.serving.model",
    "RowcastError": "rowcast.errors",
    "Server": "rowcast.serving.server",
}


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _EXPORTS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
