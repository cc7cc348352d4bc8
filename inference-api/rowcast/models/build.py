"""A build before it is loaded: a name of the file of models at one revision, and its settings.

Builds with equal ids are made from equal entries and equal files. What a build computes has a
fingerprint, which is known once it has been loaded.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from rowcast.settings import Settings, checked

Load = Literal["start", "lazy"]


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One name at one revision."""

    id: str  # short, safe in a file's name; equal for equal entries and files
    name: str  # the short name that requests use
    variables: dict[str, str]  # the settings that differ from the server's own
    aliases: tuple[str, ...] = ()
    load: Load = "start"
    idle_seconds: float = 0.0  # without a session, until it is unloaded; 0: only to make room
    keep: bool = False  # never unload it to make room for another
    longest_keep_alive: float = 0.0  # the maximum of a request's `keep_alive`

    def settings(self, server: Settings) -> Settings:
        """Return the settings of this build's processes: the server's, overridden by its own."""
        own = {name.lower(): checked(name.lower(), text) for name, text in self.variables.items()}
        if own:  # the streams of all models are in one journal
            own["journal"] = str(server.journal_path or "off")
        return server.replaced(**own)


def by_name(builds: Sequence[Build], server: Settings) -> dict[str, Build]:
    """Return the builds by all names that a request may use. `builds`: one per model.

    Names and aliases take precedence over places: hub ids, paths, and the last parts of names. A
    place that several models come from means the first of them.
    """
    chosen = [(name, build) for build in builds for name in (build.name, *build.aliases)]
    places = [(name, build) for build in builds for name in build.settings(server).names]
    return dict(reversed([*chosen, *places]))


def listed_names(build: Build, server: Settings) -> tuple[str, ...]:
    """Return the names in lists of models, its own first, without paths on this machine."""
    own = build.settings(server).listed_names
    return tuple(dict.fromkeys((*own, *build.aliases)))
