"""What a fleet sends: actions, then a Snapshot if it has changed, then answers.

    act, answer, held    from the fleet, in any order
    take(snapshot)       for the supervisor, in the order in which frontends need it

An answer refers to a state that the frontend has seen, so the Snapshot precedes it.
"""

from collections.abc import Iterable

from msgspec import structs

from rowcast.launch.fleet.actions import Action, ConnectionId, Send
from rowcast.models.messages import FromSupervisor, Held, Snapshot


class Outbox:
    """The actions since the last `take`, and the frontends that get Snapshots."""

    def __init__(self) -> None:
        self._connections: set[ConnectionId] = set()
        self._actions: list[Action] = []
        self._answers: list[Send] = []
        self._shown: Snapshot | None = None

    def join(self, connection: ConnectionId, snapshot: Snapshot) -> None:
        """Send a new frontend its first Snapshot, and all later ones."""
        self._connections.add(connection)
        self.act(Send(connection, snapshot))

    def leave(self, connection: ConnectionId) -> None:
        self._connections.discard(connection)
        self._answers = [each for each in self._answers if each.connection != connection]

    def act(self, action: Action) -> None:
        self._actions.append(action)

    def answer(self, connection: ConnectionId, message: FromSupervisor) -> None:
        """Send a message after the Snapshot that precedes it."""
        self._answers.append(Send(connection, message))

    def held(self, build: str, connections: Iterable[ConnectionId]) -> None:
        """Answer the Holds of a build."""
        for each in connections:
            self.answer(each, Held(build))

    def take(self, snapshot: Snapshot) -> list[Action]:
        """Return what is to be done, in order."""
        if self._shown is None or _without_time(snapshot) != _without_time(self._shown):
            self._shown = snapshot
            self._actions += [Send(each, snapshot) for each in sorted(self._connections)]
        actions = [*self._actions, *self._answers]
        self._actions, self._answers = [], []
        return actions


def _without_time(snapshot: Snapshot) -> Snapshot:
    """Return what does not change by itself."""
    builds = tuple(structs.replace(each, retry_seconds=0.0) for each in snapshot.builds)
    return structs.replace(snapshot, builds=builds)
