"""Which builds there are, and which of them has each name.

    list_builds              the file of models in; names pass to other builds, or swaps begin
    known, current, named    the member of a build, or of a name
    promote, forget          give a build its name; remove one that nothing needs

Each name has one *current* build, which gets its new requests. Older builds stay while somebody
holds them. Knows nothing of memory, of launchers, or of what frontends are sent.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

from rowcast.launch.fleet.member import Member
from rowcast.models.build import Build

_log = logging.getLogger("rowcast.launch")


class Roster:
    """The members of a fleet, by build and by name."""

    def __init__(self, url_of: Callable[[Build], str]) -> None:
        self._url_of = url_of
        self._members: dict[str, Member] = {}
        self._listed: frozenset[str] = frozenset()  # the builds of the file of models
        self.names: tuple[str, ...] = ()  # of the file of models, in its order

    def __iter__(self) -> Iterator[Member]:
        """Iterate over the members of now, also while some of them are removed."""
        return iter(list(self._members.values()))

    def __getitem__(self, build: str) -> Member:
        return self._members[build]

    def get(self, build: str) -> Member | None:
        return self._members.get(build)

    def known(self, build: Build) -> Member:
        """Return the build's member; one that the file of models does not list is an old build."""
        if build.id not in self._members:
            self._members[build.id] = Member(build, self._url_of(build))
        return self._members[build.id]

    def named(self, name: str) -> Member | None:
        """Return the current build of a name or alias; None if there is no such model."""
        current = (each for each in self if each.current)
        return next((e for e in current if name in (e.build.name, *e.build.aliases)), None)

    def current(self, name: str) -> Member | None:
        return next((each for each in self if each.current and each.build.name == name), None)

    def in_order(self) -> list[Member]:
        """Return all members: the current ones first, in the order of the file of models."""
        order = {name: number for number, name in enumerate(self.names)}
        return sorted(
            self, key=lambda each: (not each.current, order.get(each.build.name, len(order)))
        )

    def list_builds(self, builds: Sequence[Build]) -> None:
        """Take a new catalog: one build per name, the default model's first."""
        self.names = tuple(build.name for build in builds)
        self._listed = frozenset(build.id for build in builds)
        listed = {build.name: build.id for build in builds}
        for member in self:
            if member.build.id != listed.get(member.build.name):
                self._withdraw(member, removed=member.build.name not in listed)
        for build in builds:
            self._list(build)

    def _withdraw(self, member: Member, *, removed: bool) -> None:
        """Load a build that the file does not list only for those who hold it."""
        member.replaces, member.restores, member.ordered = "", "", ""
        if removed and member.current:
            member.current = False
            _log.info("%s removed", member.label)

    def _list(self, build: Build) -> None:
        member = self.known(build)
        member.build = build
        old = self.current(build.name)
        if old is member:
            return
        if old is not None and old.phase == "serving" and member.phase != "serving":
            member.replaces, member.ordered = old.build.id, "swap"
            member.failed, member.failures, member.start_at = False, 0, 0.0
            _log.info("model=%s swap old=%s new=%s", build.name, old.build.id, build.id)
            return
        replaces_loaded = old is not None and old.phase != "absent"
        self.promote(member)
        if member.phase == "absent":
            member.ordered = "start" if build.load == "start" or replaces_loaded else ""

    def promote(self, member: Member) -> None:
        """Give the build its name: new requests go to it."""
        for each in self:
            if each.build.name == member.build.name and each is not member and each.current:
                each.current, each.ordered = False, ""
        member.current, member.replaces = True, ""

    def forget(self, member: Member) -> None:
        """Remove a build that is not loaded, unless something still needs it."""
        needed = member.wanted or not member.replaced or member.build.id in self._listed
        if not needed and all(each.restores != member.build.id for each in self):
            del self._members[member.build.id]
