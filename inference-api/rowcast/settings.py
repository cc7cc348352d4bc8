"""Every setting of the server: a variable, a flag, a type, a bound and a sentence, in one table.

The only place that reads `os.environ`. All bad values are reported together, and secrets are never
printed. `python -m rowcast.settings` writes `docs/settings.md` from this class.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliApp,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from rowcast.models.local_env import NAME as LOCAL_ENV
from rowcast.models.local_env import InvalidVariables, read_variables

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

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16", "int8"],
    BeforeValidator(lambda name: _DTYPES.get(name, name) if isinstance(name, str) else name),
]


class LocalVariables(PydanticBaseSettingsSource):
    """The variables of `local.env` beside the file of models; all other sources go before it."""

    _variables: Mapping[str, str] = MappingProxyType({})

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        names = [name.lower() for name in _variables(field_name, field)]
        if any(name in self.current_state or name.upper() in self.current_state for name in names):
            return None, field_name, False
        found = (self._variables[name] for name in names if self._variables.get(name))
        return next(found, None), field_name, False

    def __call__(self) -> dict[str, Any]:
        models = self.current_state.get("models")
        if not models or _LOCAL_ENV_READ in os.environ:
            return {}
        try:
            read = read_variables(Path(models).with_name(LOCAL_ENV))
        except InvalidVariables as error:
            raise SettingsError(str(error)) from error
        self._variables = {name.lower(): value for name, value in read.items()}
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """Streams a language model over HTTP. Each flag is also a variable: --port is PORT."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        cli_kebab_case=True,
        cli_prog_name=os.environ.get("ROWCAST_COMMAND"),  # the console command
        cli_implicit_flags=True,
        cli_hide_none_type=True,
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(7000, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Number of frontend processes.")
    model: str = Field(
        STORYTELLER,
        description="The model to serve: a folder, the name of one below MODEL_ROOT, a hub id, a "
        "bundled model (`storyteller`, `draft`), or `scripted`, which has no weights.",
    )
    models: Path | None = Field(
        None,
        description="A JSON file of models, instead of MODEL: see "
        "[several models](many-models.md). A file `local.env` beside it may hold variables.",
    )
    models_memory: int = Field(
        0,
        ge=0,
        description="Bytes that all loaded models may take together; 0: 80 % of what is free when "
        "the server starts.",
    )
    load_seconds: Seconds = Field(
        300, description="Maximum seconds that a request waits for its model to be loaded."
    )
    model_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$",
        description="The model's name in responses; the last part of MODEL by default. Requests "
        "may also use the last part of this name, or MODEL itself.",
    )
    chat_template: str | None = Field(
        None, description="A Jinja file that replaces the model's own chat template."
    )
    config_file: str | None = Field(
        None,
        description="A JSON file with a generation configuration, or its object itself: defaults "
        "of requests that go before those of the model's own generation_config.json.",
    )
    max_new_tokens: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Maximum tokens of a reply whose request does not say; 0: as the API documents "
        "it.",
    )
    num_return_sequences: int = Field(
        1, ge=1, le=128, description="Replies per prompt of a request that does not say."
    )
    streaming_chunks: int = Field(
        1, ge=1, le=4096, description="Tokens per chunk of a stream; 1 sends each at once."
    )
    model_root: Path | None = Field(
        None,
        validation_alias=AliasChoices("model_root", "MODEL_WEKA_DIR"),
        description="Folder of models, downloads and images of packed weights.",
    )
    hub_cache: Path | None = Field(
        None,
        validation_alias=AliasChoices("hub_cache", "HF_CACHE"),
        description="Folder of downloads from a hub; `hf_cache` below MODEL_ROOT by default.",
    )
    dtype: Dtype = Field(
        "auto",
        description="Type of weights and cache: `auto` (the model's own), `float32`, `bfloat16`, "
        "`float16` (or `fp32`, `bf16`, `fp16`), or `int8` (CPU only): weights of linear layers in "
        "8 bits, everything else in bfloat16.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to compute; `auto` uses CUDA if it is available."
    )
    context_length: int = Field(
        0,
        ge=0,
        description="Maximum tokens per row; 0 uses the model's limit, a smaller value saves "
        "memory.",
    )
    no_weights: bool = Field(
        False,
        validation_alias=AliasChoices("no_weights", "FALCON_40B_PYTORCH_NO_WEIGHTS"),
        description="Use one layer of random weights, in the shape of MODEL; without MODEL, in "
        "that of a small Falcon, which needs no file and no download.",
    )
    two_layers: bool = Field(
        False,
        validation_alias=AliasChoices("two_layers", "FALCON_40B_2LAYER"),
        description="Use only the model's first two layers.",
    )
    save_image: bool = Field(
        False,
        validation_alias=AliasChoices("save_image", "FALCON_40B_SAVE"),
        description="Save the packed weights as an image in `tti_cache` below MODEL_ROOT. Only for "
        "models of the Llama form on a CPU.",
    )
    load_image: bool = Field(
        False,
        validation_alias=AliasChoices("load_image", "FALCON_40B_LOAD"),
        description="Map that image instead of reading the weights; with SAVE_IMAGE, if it fits.",
    )
    image_suffix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        validation_alias=AliasChoices("image_suffix", "FALCON_40B_TTI_SUFFIX"),
        description="Suffix of the image's name.",
    )
    mock_model: bool = Field(False, description="Serve the scripted model and ignore MODEL.")
    step_seconds: float = Field(
        0.0, ge=0, le=10, description="Seconds per step of the scripted model; 0 does not wait."
    )
    backend_socket: str | None = Field(
        None,
        description="Connect to the backend that listens at this path instead of starting one.",
    )
    allowed_hosts: str = Field(
        "",
        description="Without PROXY_SECRET: names that Host and Origin may have besides those of "
        "the loopback, separated by commas; `*` allows any.",
    )
    connections: int = Field(
        8192,
        ge=1,
        le=1_000_000,
        description="Maximum connections per frontend process; above it, idle ones are closed.",
    )
    heads_bytes: int = Field(
        64 << 20,
        ge=1 << 16,
        description="Maximum bytes of unfinished request heads per frontend process.",
    )
    waiting_line: int = Field(
        1024, ge=0, le=1_000_000, description="Maximum prompts that wait for a row; others get 503."
    )
    reply_seconds: Seconds = Field(3600, description="Maximum seconds that a reply may take.")
    body_bytes: int = Field(4 << 20, ge=1024, description="Maximum bytes of a request body.")
    bodies_bytes: int = Field(
        256 << 20,
        ge=1 << 16,
        description="Maximum bytes of the bodies of all open requests per frontend process; above "
        "it, requests get 503. One team may use half of it.",
    )
    body_seconds: Seconds = Field(30, description="Maximum seconds that a request body may take.")
    header_seconds: int = Field(
        15,
        ge=1,
        le=3600,
        description="Maximum seconds that headers may take, or that a connection may be idle.",
    )
    client_seconds: Seconds = Field(
        30, description="Seconds after which a client that reads nothing is disconnected."
    )
    comment_seconds: Seconds = Field(
        15,
        description="Seconds without an event after which an event stream sends a comment, so "
        "that clients and proxies do not time out.",
    )
    silence_seconds: Seconds = Field(
        4, description="Seconds without a message from the backend until not ready."
    )
    stall_seconds: Seconds = Field(
        20, description="Seconds without a heartbeat after which a backend is killed and replaced."
    )
    restart_limit: int = Field(
        0,
        ge=0,
        description="Backends that fail in a row before the server exits with status 3; 0 means "
        "no limit.",
    )
    recovery_seconds: Seconds = Field(
        60, description="Seconds that open streams wait for a new backend."
    )
    graceful_seconds: int = Field(
        30, ge=1, le=3600, description="Seconds that open streams may continue after SIGTERM."
    )
    helpers: int = Field(
        2,
        ge=1,
        le=64,
        description="Helper processes per frontend process: they check grammars, render chat "
        "templates and tokenize long texts.",
    )
    helper_seconds: Seconds = Field(
        5, description="Seconds of processor time that a helper's task may use."
    )
    helper_bytes: int = Field(
        256 << 20, ge=16 << 20, description="Bytes of memory that a helper's task may use."
    )
    journal: str = Field(
        "auto",
        description="File that stores streams so that they can be resumed; `off` stores nothing. "
        "`auto`: rowcast/journal-PORT.db in $XDG_STATE_HOME (~/.local/state), but `off` for the "
        "scripted model.",
    )
    journal_seconds: Seconds = Field(
        3600, description="Seconds that a stream's prompt and tokens are stored after its end."
    )
    journal_bytes: int = Field(1 << 30, ge=1 << 20, description="Maximum bytes of the journal.")
    proxy_secret: SecretStr | None = Field(
        None, description="Secret shared with the proxy, which makes its claims trusted."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_debug: bool = Field(
        False,
        validation_alias=AliasChoices("log_debug", "FALCON_40B_LOG_LEVEL_DEBUG"),
        description="The same as LOG_LEVEL=debug.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, LocalVariables(settings_cls)

    @property
    def served_model(self) -> str:
        """The engine's name, with MOCK_MODEL and NO_WEIGHTS applied."""
        if self.mock_model:
            return SCRIPTED
        if self.no_weights and (self.model == SCRIPTED or "model" not in self.model_fields_set):
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
        chosen = {name: getattr(self, name) for name in self.model_fields_set}
        read = {_LOCAL_ENV_READ: "1"} if self.models else {}
        given = {name.upper(): _plain(value) for name, value in chosen.items() if value is not None}
        return given | read


def kind_of(name: str) -> Any:
    """Return a setting's type, with its bounds."""
    field = Settings.model_fields[name]
    kind: Any = field.annotation
    for bound in field.metadata:
        kind = Annotated[kind, bound]
    return kind


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(kind_of(name))


def checked(name: str, value: object, *, strict: bool = False) -> Any:
    """Return the value that a setting takes. Raises ValidationError.

    `strict`: a text is no number.
    """
    return _adapter(name).validate_python(value, strict=strict)


def read_settings(arguments: Sequence[str] | None = None, **fixed: Any) -> Settings:
    """Read settings: `fixed` overrides flags (if given), and flags override the environment.

    If something is wrong, end the process with status 2 and one line per fault.
    """
    try:
        if arguments is None:
            return Settings(**fixed)
        return CliApp.run(Settings, cli_args=list(arguments), **fixed)
    except ValidationError as error:
        sys.exit(_report(error))
    except SettingsError as error:
        sys.exit(_complain([str(error)]))


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | flag | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variables = ", ".join(f"`{variable}`" for variable in _variables(name, field))
        flag = f"`--{name.replace('_', '-')}`"
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


def _variables(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [name]
    return [str(each).upper() for each in names]


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(int(value)) if isinstance(value, bool) else str(value)


def _report(error: ValidationError) -> int:
    return _complain(
        [f"{str(fault['loc'][-1]).upper()}: {fault['msg']}" for fault in error.errors()]
    )


def _complain(faults: Sequence[str]) -> int:
    for fault in faults:
        sys.stderr.write(f"rowcast: invalid setting {fault}\n")
    return 2


if __name__ == "__main__":
    sys.stdout.write(settings_page())
