"""The carriers, by the scheme of their URL.

    unix:/run/rowcast.sock     a socket on this machine; a path alone means the same
    memory:                    within one process: both ends come from the same carrier

One more carrier is a module with a class that is a `Carrier`, made from the rest of the URL, and a
line in `CARRIERS`. What it promises is in `ports`.
"""

from collections.abc import Callable

from rowcast.errors import RowcastError
from rowcast.transport.memory import MemoryTransport
from rowcast.transport.ports import Carrier
from rowcast.transport.unix_socket import UnixSocket

CARRIERS: dict[str, Callable[[str], Carrier]] = {
    "unix": UnixSocket,
    "memory": lambda _address: MemoryTransport(),
}


class UnknownCarrier(RowcastError):
    """The URL's scheme is not in the table."""


def carrier(url: str) -> Carrier:
    """Return the carrier that a URL, or a path, names. Raises UnknownCarrier."""
    scheme, colon, address = url.partition(":")
    if colon and scheme in CARRIERS:
        return CARRIERS[scheme](address)
    if address.startswith("//"):
        known = ", ".join(f"{each}:" for each in CARRIERS)
        raise UnknownCarrier(f"BACKEND_SOCKET begins with {scheme}:, but only {known} are known")
    return UnixSocket(url)
