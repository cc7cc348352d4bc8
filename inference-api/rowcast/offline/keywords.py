"""The keywords of an LLM, and the settings that they mean.

    LLM("storyteller", dtype="int8", max_model_len=512)  ──▶  Settings(context_length=512, …)

A keyword is a setting of docs/settings.md that concerns a model, or vLLM's name of one. Keywords of
vLLM that have nothing to act on here are accepted with the values for which that is true. Variables
of the environment set what no keyword does, as they do for a server.
"""

import difflib
import os
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from rowcast.errors import InvalidField
from rowcast.settings import Settings
from rowcast_settings.fields import InvalidSettings, from_variables

# Settings of a server that listens; an LLM does not.
OF_SERVERS = frozenset(
    {
        *("host", "port", "workers", "models", "models_memory", "mock_model", "backend_socket"),
        *("allowed_hosts", "connections", "heads_bytes", "body_bytes", "bodies_bytes"),
        *("body_seconds", "header_seconds", "client_seconds", "comment_seconds"),
        *("graceful_seconds", "journal", "journal_seconds", "journal_bytes", "proxy_secret"),
        *("background_rows", "background_requests", "result_seconds"),
        *("streaming_chunks", "model", "prefix_scope"),
    }
)
KNOWN = [name for name in Settings.fields if name not in OF_SERVERS]
RENAMED = {
    "max_model_len": "context_length",
    "kv_cache_memory_bytes": "kv_memory",
    "served_model_name": "model_name",
    "download_dir": "hub_cache",
    "enable_prefix_caching": "prefix_scope",
}
DTYPES = {"half": "float16", "float": "float32"}
ONE_DEVICE = "this decoder computes on one device"
# vLLM's keywords that change nothing here: the values that are accepted (none listed: all), and why
# another is not.
WITHOUT_EFFECT: Mapping[str, tuple[tuple[object, ...], str]] = {
    "enforce_eager": ((), ""),
    "gpu_memory_utilization": ((), ""),
    "swap_space": ((), ""),
    "max_num_batched_tokens": ((), ""),
    "max_num_seqs": ((), ""),
    "disable_log_stats": ((), ""),
    "enable_chunked_prefill": ((), ""),
    "tokenizer_mode": (("auto",), "a model has one tokenizer"),
    "trust_remote_code": ((False,), "no code of a model is run"),
    "tensor_parallel_size": ((1,), ONE_DEVICE),
    "pipeline_parallel_size": ((1,), ONE_DEVICE),
    "quantization": ((), "set dtype"),
    "task": (("auto", "generate"), "an LLM generates"),
    "runner": (("auto", "generate"), "an LLM generates"),
}


def settings_of(model: str | PathLike[str], keywords: Mapping[str, Any]) -> Settings:
    """Return the settings of an LLM. A keyword that is None is omitted. Raises InvalidField."""
    chosen = {name: value for name, value in keywords.items() if value is not None}
    given = dict(_meant(name, value) for name, value in chosen.items() if _counts(name, value))
    outside = from_variables(Settings.fields, os.environ)
    inherited = {name: value for name, value in outside.items() if name not in OF_SERVERS}
    fixed = {"model": fspath(model), "journal": "off"}
    try:
        return Settings(**{"log_level": "warning", **inherited, **given, **fixed})
    except InvalidSettings as error:
        variable, _, problem = error.faults[0].partition(": ")
        raise InvalidField(variable.lower(), f"is invalid: {problem}") from error


def _meant(name: str, value: Any) -> tuple[str, Any]:
    """Return a keyword as the setting that it means."""
    if name == "dtype":
        text = str(value).removeprefix("torch.")
        return name, DTYPES.get(text, text)
    if name == "enable_prefix_caching":
        return RENAMED[name], "team" if value else "off"  # all prompts are one team's
    return RENAMED.get(name, name), value


def _counts(name: str, value: object) -> bool:
    """True if a keyword is a setting; raise if it may not be given."""
    if name in RENAMED or name in KNOWN:
        return True
    if name in WITHOUT_EFFECT:
        allowed, why = WITHOUT_EFFECT[name]
        if (allowed or why) and not any(value == each for each in allowed):
            raise InvalidField(name, f"is {value!r}, which is not supported: {why}")
        return False
    if name in OF_SERVERS:
        raise InvalidField(name, "is a setting of the server; an LLM listens nowhere")
    near = difflib.get_close_matches(name, [*KNOWN, *RENAMED, *WITHOUT_EFFECT], n=1)
    hint = f"; did you mean {near[0]}?" if near else "; docs/offline.md lists them"
    raise InvalidField(name, f"is not a keyword of an LLM{hint}")
