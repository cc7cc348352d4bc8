"""What an entry of the file of models may have: each key with its type, bounds and meaning.

    keys of a setting    override the server's setting for this model
    all others           how the model is named, loaded and unloaded

The parser, the JSON schema and the table of the document are made from `KEYS`.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from rowcast.settings import Settings, kind_of

LONGEST = 31 * 86400.0  # seconds

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", min_length=1, max_length=200)
]
Place = Annotated[str, Field(min_length=1, max_length=4096)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an entry. `setting`: the variable that it overrides."""

    name: str
    kind: Any
    meaning: str
    default: str = ""
    setting: str = ""

    @property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.kind)


def _of_setting(name: str) -> Key:
    variable = name.upper()
    meaning = Settings.model_fields[name].description or ""
    return Key(name, kind_of(name), meaning, variable, variable)


KEYS = (
    Key("model", Place, "What MODEL may be: a folder, a hub id, a model in the box.", "", "MODEL"),
    Key("aliases", Annotated[list[Name], Field(max_length=32)], "More names for it.", "none"),
    Key("default", bool, "`true`: it serves requests that name no model.", "the first model"),
    Key(
        "load",
        Literal["start", "lazy"],
        "`start`: loaded when the server starts. `lazy`: loaded at the first request for it.",
        "`lazy`; of the default model `start`",
    ),
    Key("idle_seconds", Seconds, "Unload it after so long without a request; `0`: never.", "`0`"),
    Key("keep", bool, "`true`: never unload it to make room for another model.", "`false`"),
    Key(
        "keep_alive_seconds",
        Seconds,
        "Maximum seconds for which a request's `keep_alive` may delay its unloading.",
        "`0`",
    ),
    Key("draft", Place, "A smaller model that proposes tokens. It is not used yet.", "none"),
    Key(
        "generation_config",
        Place | dict[str, Any],
        "Defaults of requests: the path of a JSON file, or its object.",
        "CONFIG_FILE",
        "CONFIG_FILE",
    ),
    Key(
        "chat_template",
        Place,
        "A Jinja file that replaces the model's own chat template.",
        "CHAT_TEMPLATE",
        "CHAT_TEMPLATE",
    ),
    *map(
        _of_setting,
        (
            "dtype",
            "device",
            "context_length",
            "max_new_tokens",
            "num_return_sequences",
            "streaming_chunks",
            "waiting_line",
            "no_weights",
            "two_layers",
            "save_image",
            "load_image",
            "image_suffix",
            "step_seconds",
        ),
    ),
)
NAMED = {key.name: key for key in KEYS}
VALUES = {key.name: key.adapter for key in KEYS}
NAMES = TypeAdapter[str](Name)
PLACES = TypeAdapter[str](Place)


def problem_of(error: ValidationError) -> str:
    """Return what the first fault of a value is."""
    message = error.errors()[0]["msg"]
    return message[:1].lower() + message[1:]
