"""The messages of `messages` over a Unix stream socket, a frame each.

    SupervisorConnection   a frontend's end
    FrontendConnection     the supervisor's end

Knows nothing of what messages mean.
"""

import socket

from rowcast.models.messages import (
    FromFrontend,
    FromSupervisor,
    decode_from_frontend,
    decode_from_supervisor,
    encode,
)
from rowcast.transport.streams import AcceptedStream, ConnectedStream

MAX_UNREAD = 8 << 20


class SupervisorConnection(ConnectedStream[FromFrontend, FromSupervisor]):
    """A frontend's end. When it is closed, the supervisor drops all that this frontend held."""

    def __init__(self, path: str) -> None:
        """Connect. Raises PeerGone while there is no supervisor."""
        super().__init__(path, "supervisor", encode, lambda body: (decode_from_supervisor(body),))


class FrontendConnection(AcceptedStream[FromSupervisor, FromFrontend]):
    """The supervisor's end of one connection."""

    def __init__(self, accepted: socket.socket) -> None:
        decode = decode_from_frontend
        super().__init__(accepted, "frontend", encode, lambda body: (decode(body),), MAX_UNREAD)
