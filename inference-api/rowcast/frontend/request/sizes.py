"""Limits what one request may send to the backend: all replies, prompts and parameters.

The backend reads it between two steps, so a large request delays every stream.
"""

from collections.abc import Sequence

from rowcast import wire
from rowcast.errors import MalformedRequest
from rowcast.wire import Submit

MOST_BYTES = 16 << 20


def check_size(prompts: Sequence[Sequence[Submit]]) -> None:
    """Refuse a request that is too large. `prompts`: the choices of each."""
    total = sum(len(wire.encode(choices)) for choices in prompts)
    if total > MOST_BYTES:
        replies = sum(map(len, prompts))
        raise MalformedRequest(
            f"{replies} replies with their prompts and parameters are {total >> 20} MiB together; "
            f"the limit is {MOST_BYTES >> 20}: request fewer, or send shorter prompts or rules"
        )
