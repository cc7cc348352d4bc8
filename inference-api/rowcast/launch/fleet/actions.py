"""What the fleet decides and the supervisor does: values that `Fleet.take` returns."""

from dataclasses import dataclass

from rowcast.models.build import Build
from rowcast.models.messages import FromSupervisor

ConnectionId = int


@dataclass(frozen=True, slots=True)
class Start:
    """Fork a launcher of this build, whose backend will listen at `url`."""

    build: Build
    url: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Let the launcher load: the memory that it needs is reserved."""

    build: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the launcher and its backend. `kill`: it ignored a stop, or its load has failed."""

    build: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to a frontend."""

    connection: ConnectionId
    message: FromSupervisor


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the supervisor, and with it the server, with this exit status."""

    status: int


Action = Start | Grant | Stop | Send | GiveUp
