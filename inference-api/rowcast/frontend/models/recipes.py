"""How builds are loaded, stored so that a stream goes on although its build has been replaced.

A recipe is a `Build`. One that is recalled is used only if its files and settings are the same.
"""

from typing import Protocol

import msgspec

from rowcast.errors import RowcastError
from rowcast.frontend.models.slot import Names, Slot
from rowcast.models.build import Build
from rowcast.models.messages import BuildState
from rowcast.models.revision import build_id
from rowcast.settings import Settings


class RecipeStore(Protocol):
    """Where recipes are stored; a journal is one."""

    def store_recipe(self, build: str, recipe: bytes, /) -> None:
        """Store, some time soon, how a build is loaded."""

    def recipe(self, build: str, /) -> bytes | None:
        """Return how a build is loaded; None if that is not known. Raises Unavailable."""


class Recipes:
    """The recipes of one frontend process, by fingerprint and context."""

    def __init__(self, settings: Settings, store: RecipeStore) -> None:
        self._settings = settings
        self._store = store
        self._stored: set[str] = set()

    def store(self, slot: Slot) -> None:
        """Store the recipe of a loaded build, once."""
        if slot.state.fingerprint and slot.version not in self._stored:
            self._stored.add(slot.version)
            self._store.store_recipe(slot.version, msgspec.msgpack.encode(slot.build))

    def recall(self, version: str) -> Slot | None:
        """Return a build that is not loaded; None if it cannot be loaded as it was."""
        recipe = self._store.recipe(version)
        if recipe is None:
            return None
        build = msgspec.msgpack.decode(recipe, type=Build)
        if not self._is_unchanged(build):
            return None
        state = BuildState(build=build, state="unloaded", url="", current=False)
        slot = Slot(state, Names.of(build, self._settings))
        slot.listed, slot.recalled = False, True
        return slot

    def _is_unchanged(self, build: Build) -> bool:
        try:
            return build_id(build.name, build.settings(self._settings)) == build.id
        except (RowcastError, OSError, ValueError):
            return False
