"""Every setting of the server: a variable, a flag, a type, a bound and a sentence, in one table.

The only place that reads `os.environ`. All bad values are reported together, and secrets are never
printed. `python -m rowcast.settings` writes `docs/settings.md` from this class.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from rowcast.models.local_env import NAME as LOCAL_ENV
from rowcast.models.local_env import InvalidVariables, read_variables
from rowcast_settings.fields import (
    BaseSettings,
    InvalidSettings,
    from_variables,
    optional,
    setting,
)
from rowcast_settings.kinds import Choice, Kind, Number, Place, Switch, Text, Whole
from rowcast_settings.secret import Secret, SecretText
from rowcast_telemetry.log_lines import LogFormat
from rowcast_telemetry.trace_options import ENDPOINT, HEADERS, SHARE, SWITCH

STORYTELLER, DRAFT = "storyteller", "draft"  # the models in the box
SCRIPTED = "scripted"
ONE_LAYER = "one-layer"  # with random weights, made without any file
HUB_FOLDER = "hf_cache"
SHORTEST_SECRET_BYTES = 32
_LOCAL_ENV_READ = "ROWCAST_LOCAL_ENV_READ"  # in the environment of processes that this one starts

_PAGE = """# Settings

Each setting of the server is a variable and a flag: `PORT=7001` is `rowcast server --port 7001`, or
`python inference-api/inference_api_server.py --port 7001` in the source tree. All bad values are
reported together, at the start. The proxy has settings of its own, in [proxy.md](proxy.md).

This page is written by `make docs` from `inference-api/rowcast/settings.py`.
"""

Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]
Device = Literal["auto", "cpu", "cuda"]
ArithmeticName = Literal["auto", "amx", "avx512", "avx2", "plain", "amx-emulated"]
PoolingChoice = Literal["auto", "last", "mean"]
PrefixScope = Literal["team", "token", "off"]
MetricsNames = Literal["both", "rowcast", "vllm"]
LogLevel = Literal["debug", "info", "warning", "error"]

SECONDS = Number(0, 86400, above=True)
NAME_PATTERN = r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"
DTYPES: Kind[Dtype] = Choice(
    ("auto", "float32", "bfloat16", "float16", "int8"),
    {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"},
)
DEVICES: Kind[Device] = Choice(("auto", "cpu", "cuda"))
ARITHMETICS: Kind[ArithmeticName] = Choice(
    ("auto", "amx", "avx512", "avx2", "plain", "amx-emulated")
)
POOLINGS: Kind[PoolingChoice] = Choice(("auto", "last", "mean"))
PREFIX_SCOPES: Kind[PrefixScope] = Choice(("team", "token", "off"))
METRICS_NAMES: Kind[MetricsNames] = Choice(("both", "rowcast", "vllm"))
FORMATS: Kind[LogFormat] = Choice(("text", "json"))
LEVELS: Kind[LogLevel] = Choice(("debug", "info", "warning", "error"))


class Settings(BaseSettings):
    """Streams a language model over HTTP. Each flag is also a variable: --port is PORT."""

    host = setting(Text(), "127.0.0.1", "Address to listen on.")
    port = setting(Whole(1, 65535), 7000, "Port to listen on.")
    workers = setting(Whole(1, 64), 1, "Number of frontend processes.")
    model = setting(
        Text(),
        STORYTELLER,
        "The model to serve: a folder, the name of one below MODEL_ROOT, a hub id, a "
        "bundled model (`storyteller`, `draft`), or `scripted`, which has no weights.",
    )
    models = optional(
        Place(),
        "A JSON file of models, instead of MODEL: see "
        "[several models](many-models.md). A file `local.env` beside it may hold variables.",
    )
    models_memory = setting(
        Whole(0),
        0,
        "Maximum bytes of all loaded models together; 0: 80 % of the memory that is free "
        "when the server starts.",
    )
    load_seconds = setting(
        SECONDS, 300, "Maximum seconds that a request waits for its model to be loaded."
    )
    model_name = optional(
        Text(NAME_PATTERN),
        "The model's name in responses; the last part of MODEL by default. Requests "
        "may also use the last part of this name, or MODEL itself.",
    )
    chat_template = optional(Text(), "A Jinja file that replaces the model's own chat template.")
    config_file = optional(
        Text(),
        "A JSON file with a generation configuration, or the object itself: defaults for "
        "requests. They take precedence over the model's own generation_config.json.",
    )
    max_new_tokens = setting(
        Whole(0, 1_000_000),
        0,
        "Maximum tokens of a reply whose request does not limit it; 0: the default of the API.",
    )
    num_return_sequences = setting(
        Whole(1, 128), 1, "Replies per prompt of a request that does not set them."
    )
    streaming_chunks = setting(
        Whole(1, 4096), 1, "Tokens per chunk of a stream; 1 sends each at once."
    )
    pooling = setting(
        POOLINGS,
        "auto",
        "What an embedding is made of: the `last` token's state, or the `mean` of all; `auto`: as "
        "the model's modules.json says, otherwise `last`.",
    )
    prefix_scope = setting(
        PREFIX_SCOPES,
        "team",
        "Whose prompts may reuse what was computed for the same beginning of another: those of a "
        "`team`, of a `token` of it, or none (`off`). It changes no reply.",
    )
    warm_rows = setting(
        Whole(0, 32),
        0,
        "Rows that compute a prompt before the server is ready, so that pages, threads and "
        "caches are warm for the first request; 0: none.",
    )
    warm_tokens = setting(Whole(1), 1024, "Tokens of that prompt; at most the model's context.")
    model_root = optional(
        Place(), "Folder of models, downloads and images of packed weights.", "MODEL_WEKA_DIR"
    )
    hub_cache = optional(
        Place(),
        "Folder of downloads from a hub; `hf_cache` below MODEL_ROOT by default.",
        "HF_CACHE",
    )
    dtype = setting(
        DTYPES,
        "auto",
        "Type of weights and cache: `auto` (the model's own), `float32`, `bfloat16`, "
        "`float16` (or `fp32`, `bf16`, `fp16`), or `int8` (CPU only): weights of linear layers in "
        "8 bits, everything else in bfloat16.",
    )
    device = setting(DEVICES, "auto", "Where to compute; `auto` uses CUDA if it is available.")
    arithmetic = setting(
        ARITHMETICS,
        "auto",
        "How a CPU multiplies: `auto` (the fastest that this machine has), `amx` (tiles, and "
        "vectors of 512 bits), `avx512` (vectors of 512 bits with products of bf16 and of bytes), "
        "`avx2` (vectors of 256 bits with fused sums), `plain` (what every processor of its family "
        "has; slow) or `amx-emulated` (the bits of tiles on any machine; slow, for tests). Unlike "
        "machines give the same replies only with the same choice other than `auto`, and the same "
        "compiler.",
    )
    context_length = setting(
        Whole(0),
        0,
        "Maximum tokens per row; 0 uses the model's limit, a smaller value saves memory.",
    )
    prefix_memory = optional(
        Whole(0),
        "Bytes of the store of computed prefixes, beyond those that the rows hold; 0: none. By "
        "default, the smallest of 1 GiB, 5 % of the memory, and the size of the KV cache.",
    )
    prefix_folder = optional(
        Place(),
        "Folder of private files with what that store holds, so that prompts begin as fast after "
        "a restart or a crash.",
    )
    kv_memory = setting(
        Whole(0),
        0,
        "Maximum bytes of the KV cache of all rows together. A prompt is seated once its tokens, "
        "and the most that its reply may have, fit beside those of others. 0: enough for every row "
        "in full or, on a CPU with less memory, 80 % of what is free.",
    )
    gpu_memory = setting(
        Number(0, 1, above=True),
        0.9,
        "Share of a GPU's free memory for weights and KV cache. A context that does not fit is "
        "shortened, unless CONTEXT_LENGTH sets it; the rest is for a step's own numbers.",
    )
    no_weights = setting(
        Switch(),
        False,
        "Use one layer of random weights, in the shape of MODEL; without MODEL, in "
        "that of a small Falcon, which needs no file and no download.",
        "FALCON_40B_PYTORCH_NO_WEIGHTS",
    )
    two_layers = setting(
        Switch(), False, "Use only the model's first two layers.", "FALCON_40B_2LAYER"
    )
    save_image = setting(
        Switch(),
        False,
        "Save the packed weights as an image in `tti_cache` below MODEL_ROOT. Only for "
        "models of the Llama form on a CPU.",
        "FALCON_40B_SAVE",
    )
    load_image = setting(
        Switch(),
        False,
        "Map that image instead of reading the weights; with SAVE_IMAGE, if it fits.",
        "FALCON_40B_LOAD",
    )
    image_suffix = setting(
        Text(r"^[A-Za-z0-9._-]*$"), "", "Suffix of the image's name.", "FALCON_40B_TTI_SUFFIX"
    )
    mock_model = setting(Switch(), False, "Serve the scripted model and ignore MODEL.")
    step_seconds = setting(
        Number(0, 10), 0.0, "Seconds per step of the scripted model; 0 does not wait."
    )
    backend_socket = optional(
        Text(), "Connect to the backend that listens at this path instead of starting one."
    )
    allowed_hosts = setting(
        Text(),
        "",
        "Without PROXY_SECRET: names that Host and Origin may have besides those of "
        "the loopback, separated by commas; `*` allows any.",
    )
    connections = setting(
        Whole(1, 1_000_000),
        8192,
        "Maximum connections per frontend process; above it, idle ones are closed.",
    )
    heads_bytes = setting(
        Whole(1 << 16), 64 << 20, "Maximum bytes of unfinished request heads per frontend process."
    )
    waiting_line = setting(
        Whole(0, 1_000_000),
        1024,
        "Maximum prompts that wait for a row, and requests that wait for a model to be loaded; "
        "others get 503.",
    )
    reply_seconds = setting(SECONDS, 3600, "Maximum seconds that a reply may take.")
    body_bytes = setting(Whole(1024), 4 << 20, "Maximum bytes of a request body.")
    bodies_bytes = setting(
        Whole(1 << 16),
        256 << 20,
        "Maximum bytes of the bodies of all open requests per frontend process; above "
        "it, requests get 503. One team may use half of it.",
    )
    body_seconds = setting(SECONDS, 30, "Maximum seconds that a request body may take.")
    header_seconds = setting(
        Whole(1, 3600),
        15,
        "Maximum seconds that headers may take, or that a connection may be idle.",
    )
    client_seconds = setting(
        SECONDS, 30, "Seconds after which a client that reads nothing is disconnected."
    )
    comment_seconds = setting(
        SECONDS,
        15,
        "Seconds without an event after which an event stream sends a comment, so "
        "that clients and proxies do not time out.",
    )
    silence_seconds = setting(
        SECONDS, 4, "Seconds without a message from the backend until not ready."
    )
    stall_seconds = setting(
        SECONDS, 20, "Seconds without a heartbeat after which a backend is killed and replaced."
    )
    restart_limit = setting(
        Whole(0),
        0,
        "Backends that fail in a row before the server exits with status 3; 0 means no limit.",
    )
    recovery_seconds = setting(SECONDS, 60, "Seconds that open streams wait for a new backend.")
    graceful_seconds = setting(
        Whole(1, 3600), 30, "Seconds that open streams may continue after SIGTERM."
    )
    helpers = setting(
        Whole(1, 64),
        2,
        "Helper processes per frontend process: they check grammars, render chat "
        "templates and tokenize long texts.",
    )
    helper_seconds = setting(SECONDS, 5, "Seconds of processor time that a helper's task may use.")
    helper_bytes = setting(
        Whole(16 << 20), 256 << 20, "Bytes of memory that a helper's task may use."
    )
    journal = setting(
        Text(),
        "auto",
        "File that stores streams so that they can be resumed; `off` stores nothing. "
        "`auto`: rowcast/journal-PORT.db in $XDG_STATE_HOME (~/.local/state), but `off` for the "
        "scripted model.",
    )
    journal_seconds = setting(
        SECONDS, 3600, "Seconds that a stream's prompt and tokens are stored after its end."
    )
    journal_bytes = setting(Whole(1 << 20), 1 << 30, "Maximum bytes of the journal.")
    row_watchers = setting(
        Whole(1, 10_000),
        64,
        "Event streams of `/v1/rows` that one team may read at once, per frontend process; further "
        "ones get 503.",
    )
    background_rows = setting(
        Whole(0, 1024),
        16,
        "Rows that background requests take at once, of all frontend processes together: one for "
        "each choice, prompt or text; 0: none is computed. They start only while no prompt waits "
        "for a row.",
    )
    background_requests = setting(
        Whole(1, 1_000_000),
        10_000,
        "Maximum background requests (tasks, lines of batches, background responses) of one team "
        "that have not ended; others get 503.",
    )
    result_seconds = setting(
        Number(0, 30 * 86400, above=True),
        86400,
        "Seconds that results of background requests and files are stored.",
    )
    metrics_names = setting(
        METRICS_NAMES,
        "both",
        "Names of the metrics at `/metrics`: ours (`rowcast`), those of `vllm`, or `both`.",
    )
    metrics_teams = setting(
        Whole(0, 1000),
        20,
        "Teams that have metrics of their own, the first ones that are served; all others share "
        "one. 0: none is counted.",
    )
    proxy_secret = optional(
        SecretText(), "Secret shared with the proxy, which makes its claims trusted."
    )
    traces = setting(
        SWITCH,
        "auto",
        "Send [traces](watching.md#traces) of requests for replies to an OpenTelemetry collector: "
        "`on`, `off`, or `auto`: if OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    )
    otel_exporter_otlp_endpoint = optional(
        ENDPOINT,
        "The collector's address for OTLP over HTTP; `http://localhost:4318` if TRACES is `on`.",
    )
    otel_exporter_otlp_headers = optional(
        HEADERS, "Headers for the collector, such as a key: `name=value`, separated by commas."
    )
    otel_service_name = setting(Text(least=1), "rowcast", "The service's name in traces.")
    otel_traces_sampler_arg = setting(
        SHARE,
        1.0,
        "The share of traces that are recorded, 0 to 1, where a caller's `traceparent` does not "
        "decide it.",
    )
    log_level = setting(LEVELS, "info", "Least severe level that is logged.")
    log_format = setting(
        FORMATS, "text", "`text`, or `json`: one object per line, of the same fields."
    )
    log_debug = setting(
        Switch(), False, "The same as LOG_LEVEL=debug.", "FALCON_40B_LOG_LEVEL_DEBUG"
    )

    @property
    def served_model(self) -> str:
        """The engine's name, with MOCK_MODEL and NO_WEIGHTS applied."""
        if self.mock_model:
            return SCRIPTED
        if self.no_weights and (self.model == SCRIPTED or "model" not in self.chosen):
            return ONE_LAYER
        return self.model

    @property
    def hub_folder(self) -> Path | None:
        """The folder of hub downloads; None: the hub library's default."""
        return self.hub_cache or (self.model_root / HUB_FOLDER if self.model_root else None)

    @property
    def served_name(self) -> str:
        """The model's name in requests and answers."""
        return self.model_name or _last_part(self.served_model)

    @property
    def short_name(self) -> str:
        """The served name without a slash, for paths and files."""
        return _last_part(self.served_name)

    @property
    def listed_names(self) -> tuple[str, ...]:
        """The names in model lists: the served name and the hub id; never a local path."""
        model = self.served_model
        return tuple(dict.fromkeys((self.served_name, *([model] if _is_hub_id(model) else []))))

    @property
    def names(self) -> tuple[str, ...]:
        """Every name by which a request may refer to the model."""
        model = self.served_model
        known = (*self.listed_names, self.short_name, model, model.rstrip("/"))
        return tuple(dict.fromkeys(known))

    @property
    def journal_path(self) -> Path | None:
        """The journal's file; None if there is no journal."""
        if self.journal not in {"auto", "off"}:
            return Path(self.journal)
        if self.journal == "off" or self.served_model == SCRIPTED:
            return None
        try:
            state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
        except RuntimeError:  # no home directory: /health and the log will report the problem
            state = Path("/var/lib")
        return state / "rowcast" / f"journal-{self.port}.db"

    @property
    def host_names(self) -> frozenset[str]:
        """The names in ALLOWED_HOSTS."""
        names = (name.strip().lower() for name in self.allowed_hosts.split(","))
        return frozenset(name for name in names if name)

    @property
    def warnings(self) -> list[str]:
        """What an operator should change before others can reach this server."""
        if self.proxy_secret is None:
            problem = "anyone who can reach this port is served without a token"
            exposed = f"HOST is {self.host} and PROXY_SECRET is not set: {problem}."
            return [] if _is_loopback(self.host) else [exposed]
        short = len(self.proxy_secret.get_secret_value().encode()) < SHORTEST_SECRET_BYTES
        guessed = f"PROXY_SECRET is shorter than {SHORTEST_SECRET_BYTES} bytes: it can be guessed."
        return [guessed] if short else []

    @property
    def level(self) -> str:
        return "DEBUG" if self.log_debug else self.log_level.upper()

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process read the same settings."""
        chosen = {name: getattr(self, name) for name in self.chosen}
        read = {_LOCAL_ENV_READ: "1"} if self.models else {}
        given = {name.upper(): _plain(value) for name, value in chosen.items() if value is not None}
        return given | read


def checked(name: str, value: object, *, strict: bool = False) -> Any:
    """Return the value that a setting takes. Raises Invalid.

    `strict`: "1" is not a number.
    """
    return Settings.fields[name].kind.checked(value, strict=strict)


def read_settings(arguments: Sequence[str] | None = None, **fixed: Any) -> Settings:
    """Read settings: `fixed` overrides flags (if given), and flags override the environment.

    If something is wrong, end the process with status 2 and one line per fault.
    """
    flags = _flags(arguments) if arguments else {}
    given = {**from_variables(Settings.fields, os.environ), **flags, **fixed}
    try:
        return Settings(**{**_local_variables(given), **given})
    except InvalidSettings as error:
        sys.exit(_complain(error.faults))
    except InvalidVariables as error:
        sys.exit(_complain([str(error)]))


def _flags(arguments: Sequence[str]) -> dict[str, object]:
    import argparse  # noqa: PLC0415  # most processes have no flags

    from rowcast_settings.flags import read_flags  # noqa: PLC0415

    command = os.environ.get("ROWCAST_COMMAND")  # the console command
    parser = argparse.ArgumentParser(command, description=Settings.__doc__, allow_abbrev=False)
    return read_flags(parser, Settings.fields, arguments)


def _local_variables(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables in `local.env` beside the file of models."""
    models = given.get("models")
    if not models or _LOCAL_ENV_READ in os.environ:
        return {}
    return from_variables(Settings.fields, read_variables(Path(models).parent / LOCAL_ENV))


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | flag | default | meaning |", "|---|---|---|---|"]
    for field in Settings.fields.values():
        variables = ", ".join(f"`{variable}`" for variable in field.variables)
        flag = f"`{field.flags[0]}`"
        default = "" if field.default is None else f"`{_plain(field.default)}`"
        rows.append(f"| {variables} | {flag} | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def settings_page() -> str:
    """Return the whole of docs/settings.md."""
    return f"{_PAGE}\n{settings_table()}"


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _is_hub_id(model: str) -> bool:
    """True if it has the form of a hub id and is not an explicit path on this machine."""
    return model.count("/") == 1 and model[0].isalnum() and not model.endswith("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(value: object) -> str:
    if isinstance(value, Secret):
        return value.get_secret_value()
    return str(int(value)) if isinstance(value, bool) else str(value)


def _complain(faults: Sequence[str]) -> int:
    for fault in faults:
        sys.stderr.write(f"rowcast: invalid setting {fault}\n")
    return 2


if __name__ == "__main__":
    sys.stdout.write(settings_page())
