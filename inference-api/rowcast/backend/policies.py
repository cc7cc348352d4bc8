"""The decisions of the decode loop that can be replaced, each behind a Protocol.

    admission   is a prompt accepted?               `Admission`, today `LineAdmission`
    order       which team is next?                 `Order`, today `TurnOrder`
    placement   which free row does a reply take?   `Placement`, today `PrefixPlacement`

`DecodeBackend` calls each maker once. A policy decides when and where a reply is computed, never
which tokens it has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rowcast.backend.admission import Admission, LineAdmission
from rowcast.backend.line import WaitingLine
from rowcast.backend.placement import Placement
from rowcast.backend.prefixes.prefix_placement import prefix_placement
from rowcast.backend.rows import Rows
from rowcast.backend.turns import Order, TurnOrder
from rowcast.engine.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Makers of the policies of one backend."""

    admission: Callable[[Engine, WaitingLine, Rows], Admission] = LineAdmission
    order: Callable[[], Order] = TurnOrder
    placement: Callable[[Engine], Placement] = prefix_placement
