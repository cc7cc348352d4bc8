"""Admission: whether a prompt joins the waiting line, and what the room for more prompts is.

    Submit ──▶ can it be computed? ──▶ is the server stopping? ──▶ is there room? ──▶ accepted

`Admission` is the seam: one that limits a team by the cost of its prompts, or that prefers some
prompts, can replace `LineAdmission`. Knows no transport, and no event but the rejection;
`DecodeBackend` carries its decisions out.
"""

import math
from typing import Protocol

from rowcast.backend.line import WaitingLine
from rowcast.backend.prompt_check import Fault, PromptCheck
from rowcast.backend.rows import Rows
from rowcast.engine.engine import Engine
from rowcast.errors import full_line
from rowcast.transport.ports import FrontendId
from rowcast.wire import Rejected, Submit, TeamRoom

Rooms = dict[str | None, int]  # by team; None, always there: a team that has nothing in the line

RETRY_AFTER_LIMIT = 60


class Admission(Protocol):
    """Accepts or rejects prompts.

    An implementation may refuse for other reasons and with other texts. It may not refuse a reply
    that was accepted before (its `delivered` tokens are sent along), nor a choice whose siblings
    were accepted with it: the client already has their headers.
    """

    def judge(self, frontend: FrontendId, submit: Submit, *, stopping: bool) -> Rejected | None:
        """Return the rejection of a prompt that is not here yet; None to accept it."""

    def rooms(self) -> Rooms:
        """Return the room by which frontends refuse requests early.

        Called when a reply has joined or left the line or the rows, and once per second.
        """

    def team_rooms(self) -> tuple[TeamRoom, ...]:
        """Return the teams whose room differs from a newcomer's, or is small, with their delay."""

    def retry_after(self, waiting: int) -> int:
        """Return the seconds after which a prompt behind `waiting` others is probably seated."""

    def completed(self, seconds: float) -> None:
        """Note how long a reply has taken, from its acceptance to its last token."""


class LineAdmission:
    """Accepts what can be computed, while the waiting line has room for the prompt's team."""

    def __init__(self, engine: Engine, line: WaitingLine, rows: Rows) -> None:
        self._check = PromptCheck(engine)
        self._line = line
        self._rows = rows
        self._reply_seconds = 1.0  # moving average of the time that a reply takes

    def judge(self, frontend: FrontendId, submit: Submit, *, stopping: bool) -> Rejected | None:
        fault = self._check.fault_of(submit)
        if fault is None and stopping:
            fault = Fault("stopping", "the server is stopping")
        if fault is None and not self._has_room(frontend, submit):
            fault = Fault("overloaded", self._full(submit.team))
        if fault is None:
            return None
        delay = self._retry_after_of(submit.team)
        return Rejected(*submit.key, fault.reason, fault.message, delay)

    def rooms(self) -> Rooms:
        free = self._rows.usable
        rooms: Rooms = {None: self._line.newcomer_room(free)}
        rooms.update((each.team, each.room) for each in self._line.team_rooms(free))
        return rooms

    def team_rooms(self) -> tuple[TeamRoom, ...]:
        rooms = self._line.team_rooms(self._rows.usable)
        return tuple(
            TeamRoom(each.team, each.room, each.waiting, self._retry_after_of(each.team))
            for each in rooms
        )

    def retry_after(self, waiting: int) -> int:
        turns = 1 + waiting / max(1, len(self._rows) + self._rows.usable)
        return max(1, min(RETRY_AFTER_LIMIT, math.ceil(turns * self._reply_seconds)))

    def completed(self, seconds: float) -> None:
        self._reply_seconds += 0.1 * (seconds - self._reply_seconds)

    def _has_room(self, frontend: FrontendId, submit: Submit) -> bool:
        """True if the line has room, or if this reply or a sibling choice was already accepted."""
        group = (frontend, submit.session)
        taken = len(self._line.of(group)) + len(self._rows.of(group))
        return (
            submit.delivered is not None
            or 0 < taken < submit.choices
            or submit.choices <= self._line.room(self._rows.usable, submit.team)
        )

    def _full(self, team: str) -> str:
        """Return the message for a prompt that is refused because the waiting line is full."""
        waiting = len(self._line.of_team(team))
        shared = waiting < len(self._line)
        room = self._line.room(self._rows.usable, team)
        return full_line(waiting or len(self._line), room, of_team=shared and waiting > 0)

    def _retry_after_of(self, team: str) -> int:
        """Return the delay for one team; waiting teams are served in turn."""
        waiting = len(self._line.of_team(team)) * self._line.teams
        return self.retry_after(min(waiting or len(self._line), len(self._line)))
