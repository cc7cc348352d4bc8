"""The models of this process by name, and the claims of requests on them.

    claim(name, request, options)   a ServedModel that stays loaded until `request.close()`; the
                                    request waits if its model must be loaded first
    load, unload, states            by hand

A claim on a build that is held costs a look into the table and a counter.
"""

import itertools
import threading
from collections.abc import Callable
from functools import partial

from rowcast.errors import NotReady, Unavailable, UnknownModel
from rowcast.frontend.models.builds import Builds, Maker
from rowcast.frontend.models.recipes import Recipes, RecipeStore
from rowcast.frontend.models.slot import Names, Slot
from rowcast.frontend.models.supervision import FixedSupervision, Supervision
from rowcast.frontend.models.table import named_in
from rowcast.frontend.models.waiting import ClaimOptions, StillLoading, Wait
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.journal import NoJournal
from rowcast.models.build import Build
from rowcast.models.messages import (
    BuildState,
    Done,
    FromSupervisor,
    Hello,
    Load,
    Unload,
)
from rowcast.settings import Settings

LOOK = 1 << 16  # bytes of the longest body that is searched for its model before it is parsed
HAND_SECONDS = 10.0  # for the supervisor's answer to Load and Unload
NONE_YET = "the supervisor of the models does not respond"


class Models:
    """All models of one frontend process."""

    def __init__(
        self,
        settings: Settings,
        supervision: Supervision,
        make: Maker | None = None,
        store: RecipeStore | None = None,
    ) -> None:
        """`make` makes the text side of a build, in a thread of its own."""
        self._settings = settings
        self._supervision = supervision
        self._builds = Builds(settings, supervision, make, Recipes(settings, store or NoJournal()))
        self._numbers = itertools.count(1)
        self._answers: dict[int, _Answer] = {}

    def start(self) -> None:
        self._builds.start()
        self._supervision.start(self)

    def stop(self) -> None:
        """Open no more sessions; open ones continue."""
        self._builds.stop()

    def close(self) -> None:
        self._supervision.close()
        self._builds.close()

    # What is there

    @property
    def current(self) -> tuple[Slot, ...]:
        """The build of each name to which new requests go, the default model's first."""
        return self._builds.table.current

    def slots(self) -> list[Slot]:
        """Return the current builds, the default model's first, and then the older ones."""
        older = (each for each in self._builds.all() if not each.state.current)
        return [*self.current, *older]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name by which a request may call a model."""
        return tuple(self._builds.table.by_name)

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of all models, as callers are shown them."""
        return self._builds.table.listed

    @property
    def problem(self) -> str:
        """What is wrong with the last change of the file of models; "" if it was taken."""
        return self._builds.snapshot.problem

    @property
    def memory(self) -> int:
        """Bytes that all loaded models may take together; 0 if there is no supervisor."""
        return self._builds.snapshot.memory

    @property
    def open_replies(self) -> int:
        """The number of replies in flight in this process."""
        return sum(len(each.served.sessions) for each in self._builds.all() if each.served)

    def names_of(self, slot: Slot) -> tuple[str, ...]:
        """The names of one of them, as callers are shown them."""
        table = self._builds.table
        return tuple(name for name in table.listed if table.by_name[name] is slot)

    def states(self) -> tuple[BuildState, ...]:
        """Return what the supervisor knows of all builds, the current ones first."""
        return tuple(each.state for each in self._builds.all())

    def find(self, name: str | None) -> Slot:
        """Return the current build of a name; the default model's for None."""
        table = self._builds.table
        if not table.current:
            raise NotReady(NONE_YET)
        if name is None:
            return table.current[0]
        if name not in table.by_name:
            raise UnknownModel(
                f"The model {name[:80]!r} does not exist; available: {', '.join(table.listed)}"
            )
        return table.by_name[name]

    def named_by(self, in_path: str, body: bytes) -> Slot | None:
        """Return the current build that a request for rows means; None if that is not clear.

        `in_path`: the name in its path, which may be that of a route.
        """
        table = self._builds.table
        if len(table.current) == 1:
            return table.current[0]
        if in_path in table.by_name:
            return table.by_name[in_path]
        if len(body) > LOOK or not table.current:
            return None
        name = named_in(body)
        return table.by_name.get(name) if name else table.current[0]

    # Claims

    def claim(self, name: str | None, request: Request, options: ClaimOptions) -> ServedModel:
        """Return a model for this request, until its response was sent.

        Waits while the model is being loaded. Raises UnknownModel, Unavailable, ReplyCancelled and
        DeadlinePassed; StillLoading if an event stream may begin meanwhile.
        """
        recorded = self._recorded(request)
        slot = recorded or self.find(name)
        served = self._builds.use(slot, options.keep_alive)
        if served is not None:
            request.claims.callback(self._builds.release, slot)
            return served
        deadline = Deadline.read(request.headers, options.timeout, request.began)
        seconds = self._settings.load_seconds
        wait = Wait(slot, deadline, seconds, recorded=recorded is not None)
        self._builds.enter(wait, options.keep_alive)
        request.claims.callback(self._builds.leave, wait)
        with request.watching(wait.client_left):
            patience = self._settings.comment_seconds if options.events else float("inf")
            granted = wait.granted_within(patience)
        served = wait.slot.served
        if not granted or served is None:
            raise StillLoading(wait, request)
        return served

    def _recorded(self, request: Request) -> Slot | None:
        """Return the build that began a recorded request, if it is there or can be loaded again."""
        version = request.record.build if request.record else request.build
        return self._builds.recall(version) if version else None

    # The supervisor's messages

    def connected(self, begin: Callable[[Hello], None]) -> None:
        self._builds.connected(begin)

    def lost(self) -> None:
        self._builds.lost()
        for answer in list(self._answers.values()):
            answer.give("the supervisor of the models has ended")

    def receive(self, message: FromSupervisor) -> None:
        if not isinstance(message, Done):
            self._builds.receive(message)
        elif (answer := self._answers.get(message.number)) is not None:
            answer.give(message.problem)

    # By hand

    def load(self, name: str) -> str:
        """Have a model loaded; return the problem, "" if it will be done. Raises UnknownModel."""
        return self._order(partial(Load, name=self.find(name).name))

    def unload(self, name: str) -> str:
        """Have a model unloaded as soon as nobody uses it; return as `load`."""
        return self._order(partial(Unload, name=self.find(name).name))

    def _order(self, order: "partial[Load] | partial[Unload]") -> str:
        number = next(self._numbers)
        answer = self._answers[number] = _Answer()
        try:
            self._supervision.send(order(number))
            return answer.wait()
        finally:
            del self._answers[number]

    def adopt(self, *served: ServedModel) -> None:
        """Serve these models, always held and ready, the default one first."""
        self._builds.adopt([_adopted(number, each) for number, each in enumerate(served)])


class _Answer:
    """The answer to one Load or Unload."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._problem = ""

    def give(self, problem: str) -> None:
        self._problem = problem
        self._arrived.set()

    def wait(self) -> str:
        if not self._arrived.wait(HAND_SECONDS):
            raise Unavailable(NONE_YET)
        return self._problem


def _adopted(number: int, served: ServedModel) -> Slot:
    names = Names.of_served(served)
    build = Build(id=f"fixed-{number}", name=names.own, variables={})
    slot = Slot(BuildState(build=build, state="ready", url="", current=True, pinned=True), names)
    slot.wanted = slot.held = True
    slot.served, slot.greeted = served, slot.state.loads
    return slot


def fixed(settings: Settings, *served: ServedModel) -> Models:
    """Return models that nobody starts or stops, the default one first."""
    models = Models(settings, FixedSupervision())
    models.adopt(*served)
    return models
