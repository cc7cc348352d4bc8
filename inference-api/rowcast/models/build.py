"""A build on order: one name of the file of models at one revision, and the settings it is made by.

Two builds with the same `id` are made of the same entry and the same files. What they compute is
identified by a fingerprint, which only a loaded build has.
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
    idle_seconds: float = 0.0  # unload after so long without a session; 0: only to make room
    keep: bool = False  # never unload it to make room for another
    longest_keep_alive: float = 0.0  # the maximum that a request's `keep_alive` may ask for

    def settings(self, server: Settings) -> Settings:
        """Return the settings of this build's processes: the server's, with its own over them."""
        own = {name.lower(): checked(name.lower(), text) for name, text in self.variables.items()}
        if own:  # streams of all models are in one journal
            own["journal"] = str(server.journal_path or "off")
        return server.replaced(**own)


def by_name(builds: Sequence[Build], server: Settings) -> dict[str, Build]:
    """Return the builds by all names that a request may use. `builds`: one per model.

    A model's own name and its aliases go before what names the place that it comes from: its hub id
    or path, and the last part of its name. Of two models from one place, it means the first.
    """
    chosen = [(name, build) for build in builds for name in (build.name, *build.aliases)]
    places = [(name, build) for build in builds for name in build.settings(server).names]
    return dict(reversed([*chosen, *places]))


def listed_names(build: Build, server: Settings) -> tuple[str, ...]:
    """Return the names in lists of models, its own first: no path on this machine."""
    own = build.settings(server).listed_names
    return tuple(dict.fromkeys((*own, *build.aliases)))
