"""What an entry of the file of models may have: each key with its type, bounds and meaning.

    keys of a setting    override the server's setting for this model
    all others           how the model is named, loaded and unloaded

The parser, the JSON schema and the table of the document are made from `KEYS`.
"""

from dataclasses import dataclass
from typing import Any

from rowcast.settings import NAME_PATTERN, Settings
from rowcast_settings.compounds import Several, TextOrObject
from rowcast_settings.kinds import Choice, Kind, Number, Switch, Text

LONGEST = 31 * 86400.0  # seconds

NAMES = Text(NAME_PATTERN, 1, 200)
PLACES = Text(least=1, most=4096)
_SECONDS = Number(0, LONGEST)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an entry. `setting`: the variable that it overrides."""

    name: str
    kind: Kind[Any]
    meaning: str
    default: str = ""
    setting: str = ""


def _of_setting(name: str) -> Key:
    variable = name.upper()
    field = Settings.fields[name]
    return Key(name, field.kind, field.description, variable, variable)


KEYS = (
    Key("model", PLACES, "What MODEL may be: a folder, a hub id, a model in the box.", "", "MODEL"),
    Key("aliases", Several(NAMES, 32), "Other names for it.", "none"),
    Key("default", Switch(), "`true`: it serves requests that name no model.", "the first model"),
    Key(
        "load",
        Choice(("start", "lazy")),
        "`start`: loaded when the server starts. `lazy`: loaded at the first request for it.",
        "`lazy`; of the default model `start`",
    ),
    Key(
        "idle_seconds",
        _SECONDS,
        "Seconds without a request until it is unloaded; `0`: never.",
        "`0`",
    ),
    Key("keep", Switch(), "`true`: never unload it to make room for another model.", "`false`"),
    Key(
        "keep_alive_seconds",
        _SECONDS,
        "Maximum seconds for which a request's `keep_alive` may delay its unloading.",
        "`0`",
    ),
    Key("draft", PLACES, "A smaller model that proposes tokens. It is not used yet.", "none"),
    Key(
        "generation_config",
        TextOrObject(PLACES),
        "Defaults for requests: the path of a JSON file, or the object itself.",
        "CONFIG_FILE",
        "CONFIG_FILE",
    ),
    Key(
        "chat_template",
        PLACES,
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
            "kv_memory",
            "gpu_memory",
            "max_new_tokens",
            "num_return_sequences",
            "streaming_chunks",
            "pooling",
            "warm_rows",
            "warm_tokens",
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
