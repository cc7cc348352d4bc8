"""How much one request may hand to the backend: all its replies with their prompts and parameters.

The backend reads it between two steps, so what is large there delays every stream.
"""

from collections.abc import Sequence

from rowcast import wire
from rowcast.errors import MalformedRequest
from rowcast.wire import Submit

MOST_BYTES = 16 << 20


def check_size(prompts: Sequence[Sequence[Submit]]) -> None:
    """Refuse what is too large. `prompts`: each with its choices, which share what is large."""
    total = sum(len(wire.encode([choices[0]])) for choices in prompts if choices)
    if total > MOST_BYTES:
        replies = sum(map(len, prompts))
        raise MalformedRequest(
            f"{replies} replies with their prompts and parameters are {total >> 20} MiB together; "
            f"allowed are {MOST_BYTES >> 20}: ask for fewer, or send shorter prompts or rules"
        )
