"""The decode loop: `step()` is intake, admit, feed, decode, emit.

    commands ──▶ intake ──▶ waiting line ──▶ admit ──▶ rows ──▶ feed ──▶ decode ──▶ emit ──▶ events

In: commands from any frontend, and notices that a frontend has joined or gone. Out: one batch of
events per step and frontend, and a Status every second. Knows an `Engine` and a
`BackendPort` by their Protocols; no text, no HTTP, no model. The loop does not recover from an
engine failure: the process ends and is restarted.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rowcast.backend.admission import Rooms
from rowcast.backend.beams import Search, Searches
from rowcast.backend.line import WaitingLine
from rowcast.backend.memory.row_memory import RowMemory
from rowcast.backend.policies import Policies
from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.backend.scheduler import admit, grant
from rowcast.backend.sharing import Sharing
from rowcast.backend.warm_up import WarmUp
from rowcast.backend.watching.row_watch import RowWatch
from rowcast.engine.engine import Drawn, DrawnVector, Engine, Feed, Scores, Seating
from rowcast.transport.ports import Arrival, BackendPort, FrontendId, Gone, Joined
from rowcast.wire import (
    LITTLE_ROOM,
    Accepted,
    Cancel,
    Embedded,
    Event,
    Finished,
    FinishReason,
    Scored,
    Seated,
    Status,
    Submit,
    Tokens,
    WatchRows,
)

TIME_LIMIT = "the time limit (REPLY_SECONDS) passed"

_log = logging.getLogger("rowcast.backend")

STATUS_SECONDS = 1.0
SWEEP_SECONDS = 0.1
IDLE_SECONDS = 0.25
UNREADY_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Limits:
    """The backend's capacity: prompts in the waiting line, and seconds per reply."""

    waiting: int = 1024
    reply_seconds: float = 3600.0


class DecodeBackend:
    """32 rows of one model, shared by any number of frontends."""

    def __init__(
        self,
        port: BackendPort,
        load_engine: Callable[[], Engine],
        limits: Limits | None = None,
        *,
        policies: Policies | None = None,
        replaces_killed: bool = False,
        warm_up: WarmUp | None = None,
    ) -> None:
        self._port = port
        self._load_engine = load_engine
        self._limits = limits or Limits()
        self._policies = policies or Policies()
        self._replaces_killed = replaces_killed
        self._warm_up = warm_up or WarmUp()
        self._order = self._policies.order()
        self._line = WaitingLine(self._limits.waiting, self._order)
        self._outbox: dict[FrontendId, list[Event]] = defaultdict(list)
        self._frontends: set[FrontendId] = set()
        self._steps = 0
        self._stopping = False
        self._starved = False  # the last step had no feeds
        self._status_due = 0.0
        self._rooms_sent: Rooms = {}
        self._changes_seen = 0  # of line and rows
        self._sweep_due = 0.0
        self.load_model_and_tokenizer()
        self.compile()
        self._rows = self._make_rows()
        self._sharing = Sharing(self._engine, self._rows)
        self._searches = Searches(self._engine)
        self._watch = RowWatch(self._rows, self._line, STATUS_SECONDS)
        self._admission = self._policies.admission(self._engine, self._line, self._rows)

    def load_model_and_tokenizer(self) -> None:
        """Load the model, together with its row cache."""
        self._engine = self._load_engine()

    def compile(self) -> None:
        """Do in advance the work that would slow down the first step."""
        self._engine.compile()
        self._warm_up.run(self._engine)

    def _make_rows(self) -> Rows:
        engine, placement = self._engine, self._policies.placement(self._engine)
        memory = RowMemory(
            *(engine.rows, placement, engine.memory, engine.trim),
            longest=engine.context_length,
            least_per_step=engine.width,
        )
        memory.touch(engine.rows, 1)  # by the probe of the machine
        memory.touch(self._warm_up.rows, self._warm_up.tokens)
        return Rows(engine.rows, placement, memory)

    def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Step until `stop` was called and the last reply has ended; `beat` after each turn."""
        engine = self._engine
        _log.info(
            "serving model=%s rows=%d context=%d cache_tokens=%d cache_bytes=%d",
            *(engine.model, engine.rows, engine.context_length, engine.memory.tokens),
            engine.memory.tokens * engine.memory.token_bytes,
        )
        while not (self._stopping and self.idle):
            self.step()
            beat()
        self._rows.close()
        self._port.close()

    def stop(self) -> None:
        """Refuse new prompts, finish the accepted ones, then end."""
        self._stopping = True
        self._status_due = 0.0

    @property
    def users(self) -> list[str]:
        """The sessions of the seated replies, in the order of their seating."""
        return [reply.submit.session for reply in self._rows]

    @property
    def idle(self) -> bool:
        return not len(self._rows) and not len(self._line)

    def step(self) -> None:
        """Run one turn of the loop; wait for commands only when there is nothing to do."""
        self.intake()
        self.admit()
        feeds = self.feed()
        drawn = self.decode(feeds)
        self.emit(drawn)
        self._rows.memory.tidy()

    def intake(self) -> None:
        """Handle the commands that have arrived, and end replies that have expired."""
        for frontend, arrival in self._arrivals():
            match arrival:
                case Submit():
                    self._consider(frontend, arrival)
                case Cancel():
                    self._cancel(frontend, arrival)
                case Joined():
                    self._frontends.add(frontend)
                    self._outbox[frontend].append(self.status())
                case WatchRows():
                    self._watch.join(frontend)
                    self._outbox[frontend] += (self.status(), self._watch.states())
                case Gone():
                    self._abandon(frontend)
        self._expire(time.monotonic())
        self._report()
        self._post()  # acceptances and refusals do not wait for the engine

    def admit(self) -> None:
        """Seat waiting replies in the free rows."""
        seated = admit(self._line, self._rows)
        for reply in seated:
            self._send(reply, Seated(*reply.submit.key, self._sharing.seat(reply)))
        self._post()  # before the engine sees a new prompt, which may crash it
        for reply in seated:
            self._engine.seat(reply.row, _seating(reply))
        self._searches.seat(seated)
        self._sharing.settle()

    def feed(self) -> list[Feed]:
        """Return what each row is fed in this step."""
        ready = [reply for reply in self._rows if self._engine.ready(reply.row)]
        return grant(ready, self._engine.width, self._engine.shared_width)

    def decode(self, feeds: list[Feed]) -> list[Drawn]:
        """Run one pass of the engine."""
        self._starved = not feeds
        if not feeds:
            return []
        fed = ((self._rows.at(feed.row), len(feed.tokens)) for feed in feeds)
        self._rows.reserve_all((reply, reply.fed + count) for reply, count in fed)
        drawn = self._engine.step(feeds)
        self._steps += 1
        for feed in feeds:
            self._rows.at(feed.row).fed += len(feed.tokens)
        self._order.charge((self._rows.at(feed.row).team, len(feed.tokens)) for feed in feeds)
        for each in drawn:
            self._rows.at(each.row).fed += each.cached - each.late  # if late, it is fed again
        self._sharing.settle()
        return drawn

    def emit(self, drawn: Iterable[Drawn]) -> None:
        """Send the results of this step to each frontend in one batch."""
        for row in drawn:
            self._watch.drawn += len(row.tokens)
            if (reply := self._rows.at(row.row)).beams:
                self._searches.take(row)
            else:
                self._advance(reply, row)
        for search in self._searches.moved():
            self._follow(search)
        self._report()
        self._post()

    def status(self) -> Status:
        """Return what is served, and the current load."""
        return Status(
            model=self._engine.model,
            fingerprint=self._engine.fingerprint,
            context_length=self._engine.context_length,
            rows=self._engine.rows,
            seated=len(self._rows),
            waiting=len(self._line),
            steps=self._steps,
            stopping=self._stopping,
            replaces_killed=self._replaces_killed,
            room=self._admission.rooms()[None],
            retry_after=self._admission.retry_after(len(self._line)),
            team_rooms=self._admission.team_rooms(),
            dimensions=self._engine.dimensions,
            prefixes=self._sharing.prefixes(),
            cache=self._rows.memory.use,
        )

    def _arrivals(self) -> list[Arrival]:
        if self.idle and not self._stopping:
            return self._port.receive(IDLE_SECONDS)
        return self._port.receive(UNREADY_SECONDS if self._starved else 0.0)

    def _consider(self, frontend: FrontendId, submit: Submit) -> None:
        """Accept a prompt into the waiting line, or reject it. Ignore one that is already here."""
        reply_id = (frontend, submit.key)
        if self._line.find(reply_id) or self._rows.find(reply_id):
            return
        rejected = self._admission.judge(frontend, submit, stopping=self._stopping)
        if rejected is None:
            self._accept(frontend, submit)
        else:
            self._outbox[frontend].append(rejected)

    def _accept(self, frontend: FrontendId, submit: Submit) -> None:
        room = self._engine.context_length - len(submit.prompt)
        limit = min(room, submit.params.max_tokens)
        now = time.monotonic()
        expires = now + self._limits.reply_seconds
        reply = Reply(frontend, submit, limit, expires=expires, accepted=now)
        self._send(reply, Accepted(*submit.key))
        if reply.done:
            self._send(reply, Finished(*submit.key, reply.length, "length"))
        else:
            self._line.join(reply)

    def _cancel(self, frontend: FrontendId, cancel: Cancel) -> None:
        reply_id = (frontend, cancel.key)
        if (waiting := self._line.find(reply_id)) is not None:
            self._line.leave(waiting)
            self._finish(waiting, "cancelled")
        elif (seated := self._rows.find(reply_id)) is not None:
            self._evict(seated, "cancelled")

    def _abandon(self, frontend: FrontendId) -> None:
        """Drop the replies of a frontend that is gone; nobody else reads them."""
        self._frontends.discard(frontend)
        self._watch.leave(frontend)
        self._outbox.pop(frontend, None)
        for waiting in [reply for reply in self._line if reply.frontend == frontend]:
            self._line.leave(waiting)
        for seated in [reply for reply in self._rows if reply.frontend == frontend]:
            self._free(seated)

    def _expire(self, now: float) -> None:
        if now < self._sweep_due:
            return
        self._sweep_due = now + SWEEP_SECONDS
        for waiting in [reply for reply in self._line if reply.expires <= now]:
            self._line.leave(waiting)
            self._finish(waiting, "error", f"{TIME_LIMIT} in the waiting line")
        for seated in [reply for reply in self._rows if reply.expires <= now]:
            if self._rows.find(seated.id):  # it has not ended with another beam of its search
                self._evict(seated, "error", TIME_LIMIT)

    def _advance(self, reply: Reply, drawn: Drawn) -> None:
        """Record a row's scores, new tokens or vector, and end its reply if it is complete."""
        if drawn.scores is not None:
            self._send_scores(reply, drawn.scores)
        reason = reply.take(drawn.tokens, self._engine.end_tokens)
        fresh = tuple(reply.tokens[len(reply.submit.prompt) + reply.sent :])
        if fresh:
            logprobs = drawn.logprobs and drawn.logprobs[: len(fresh)]
            top = drawn.top and drawn.top[: len(fresh)]
            self._send(reply, Tokens(*reply.submit.key, reply.sent, fresh, logprobs, top))
            reply.sent += len(fresh)
        elif isinstance(drawn, DrawnVector):
            self._send(reply, Embedded(*reply.submit.key, drawn.vector))
        if drawn.ends:
            reason = "stop"
        if drawn.problem:
            self._rows.discard(reply)
            self._evict(reply, "error", drawn.problem)
        elif reason is not None:
            self._evict(reply, reason)
            self._admission.completed(time.monotonic() - reply.accepted)

    def _follow(self, search: Search) -> None:
        """Send what a step of a beam search has settled, and end its replies if it is over."""
        for reply, event in search.events():
            self._send(reply, event)
        if search.problem:
            self._evict(search.replies[0], "error", search.problem)
        elif search.over:
            for reply in search.replies:
                self._end(reply, search.reason(reply))
            self._admission.completed(time.monotonic() - search.replies[0].accepted)

    def _send_scores(self, reply: Reply, scores: Scores) -> None:
        """Send scores; the first prompt token has none, so the first score has index 1."""
        scored = Scored(*reply.submit.key, reply.scored + 1, scores.logprobs, scores.top)
        self._send(reply, scored)
        reply.scored += len(scores.logprobs)

    def _evict(self, reply: Reply, reason: FinishReason, message: str = "") -> None:
        """End a seated reply, and with a beam all others of its search."""
        search = self._searches.of(reply.row)
        for each in search.replies if search else (reply,):
            self._end(each, reason, message)

    def _end(self, reply: Reply, reason: FinishReason, message: str = "") -> None:
        self._free(reply)
        self._finish(reply, reason, message)

    def _free(self, reply: Reply) -> None:
        """Free a reply's row, here and in the engine."""
        self._engine.leave(reply.row)
        self._searches.leave(reply.row)
        self._rows.evict(reply)
        for follower in self._sharing.leave(reply):
            if follower.frontend in self._frontends:
                self._send(follower, Seated(*follower.submit.key, follower.found))

    def _finish(self, reply: Reply, reason: FinishReason, message: str = "") -> None:
        self._send(reply, Finished(*reply.submit.key, reply.sent, reason, message))

    def _send(self, reply: Reply, event: Event) -> None:
        if not reply.unread:
            self._outbox[reply.frontend].append(event)

    def _post(self) -> None:
        for frontend, events in self._outbox.items():
            self._port.send(frontend, events)
        self._outbox.clear()

    def _report(self) -> None:
        """Send the load once per STATUS_SECONDS, and at each change of room that is little."""
        now, changes = time.monotonic(), self._line.changes + self._rows.changes
        if now >= self._status_due or changes != self._changes_seen:
            self._changes_seen = changes
            self._report_room(now)
        for frontend, states in self._watch.due(now):
            self._outbox[frontend].append(states)

    def _report_room(self, now: float) -> None:
        rooms = self._admission.rooms()
        scarce = rooms != self._rooms_sent and (_little(rooms) or _little(self._rooms_sent))
        if scarce or now >= self._status_due:
            self._status_due, self._rooms_sent = now + STATUS_SECONDS, rooms
            status = self.status()
            for frontend in self._frontends:
                self._outbox[frontend].append(status)


def _seating(reply: Reply) -> Seating:
    submit, held = reply.submit, reply.tokens[: reply.fed]
    return Seating(
        submit.params,
        submit.seed,
        submit.choice,
        prompt_length=len(submit.prompt),
        team=submit.team,
        pooling=reply.pooling,
        logits=reply.logits,
        held=held,
    )


def _little(rooms: Rooms) -> bool:
    return any(room < LITTLE_ROOM for room in rooms.values())
