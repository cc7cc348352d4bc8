"""Which builds are loaded, step by step, and whatever happens in any order.

Covers `fleet/fleet`, `fleet/roster`, `fleet/launchers`, `fleet/outbox`, `fleet/member`,
`fleet/room`, `fleet/actions`, `exit_status`.
"""

import logging
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rowcast.launch.fleet.launchers import RESTART_SECONDS, RETRIES
from rowcast.launch.reports import BackendEnded
from rowcast.models.build import Build

from .played_fleet import Frontend, Played, build

A, B, C = build("a"), build("b"), build("c")
START = build("a", load="start")
SMALL = {"a1": 30, "b1": 30, "c1": 30, "a2": 30}
LARGE = {"a1": 60, "b1": 60, "c1": 60, "a2": 60}


def served(played: Played, *names: str) -> Frontend:
    """Return a frontend that has had one request of each name, which have ended."""
    frontend = played.connect()
    for name in names:
        played.request(frontend, name)
        played.wait(1.0)
        played.finish(frontend, played.current(name).build.id)
    return frontend


def test_models_for_the_start_are_loaded_at_the_start() -> None:
    played = Played(SMALL)
    played.list_builds(START, B)
    played.wait(1.0)
    assert played.states() == {"a1": "ready", "b1": "unloaded"}
    shown = played.current("a")
    assert (shown.loads, shown.needs, shown.fingerprint) == (1, 30, "print of a1")
    assert shown.pinned


def test_other_models_are_loaded_by_their_first_request() -> None:
    played = Played(SMALL)
    played.list_builds(START, B)
    frontend = played.connect()
    played.request(frontend, "b")
    assert played.state("b1") == "loading"
    assert frontend.waiting["b1"] == 1
    played.wait(1.0)
    assert frontend.requests["b1"] == 1


def test_a_load_continues_after_its_client_has_left() -> None:
    played = Played(SMALL)
    played.list_builds(A)
    frontend = played.connect()
    played.request(frontend, "a")
    played.disconnect(frontend)
    played.wait(1.0)
    assert played.state("a1") == "ready"


def test_a_pinned_build_is_held_without_a_session() -> None:
    played = Played(SMALL)
    played.list_builds(A)
    frontend = served(played, "a")
    assert "a1" in frontend.held
    played.wait(3600)
    assert played.state("a1") == "ready"


def test_the_least_recently_used_build_makes_room() -> None:
    played = Played({"a1": 40, "b1": 40, "c1": 40})
    played.list_builds(A, B, C)
    frontend = served(played, "a", "b")
    played.wait(60.0)
    played.request(frontend, "a")
    played.finish(frontend, "a1")
    played.wait(60.0)
    played.request(frontend, "c")
    played.wait(2.0)
    assert played.states() == {"a1": "ready", "b1": "unloaded", "c1": "ready"}


def test_what_stays_loaded_is_pinned_again() -> None:
    played = Played({"a1": 40, "b1": 40, "c1": 40})
    played.list_builds(A, B, C)
    frontend = served(played, "a", "b", "c")
    assert sorted(played.states().values()) == ["ready", "ready", "unloaded"]
    assert all(each.pinned for each in played.shown().builds if each.state == "ready")
    assert frontend.requests == {"a1": 0, "b1": 0, "c1": 0}


def test_a_build_to_keep_is_never_unloaded_for_another() -> None:
    played = Played({"a1": 60, "b1": 60})
    played.list_builds(build("a", keep=True, load="start"), B)
    played.wait(60.0)
    frontend = played.connect()
    played.request(frontend, "b")
    assert played.states() == {"a1": "ready", "b1": "failed"}
    assert "a (keep) take" in played.current("b").reason


def test_what_can_never_fit_is_refused_with_the_arithmetic() -> None:
    played = Played({"a1": 300 << 20}, memory=200 << 20)
    played.list_builds(A)
    frontend = played.connect()
    played.request(frontend, "a")
    assert played.state("a1") == "failed"
    assert "weights = 300 MiB" in played.current("a").reason
    assert "200 MiB. Set a higher MODELS_MEMORY" in played.current("a").reason
    assert frontend.waiting["a1"] == 0


def test_a_build_that_is_used_without_pause_gives_way_to_another() -> None:
    played = Played(LARGE)
    played.list_builds(A, B)
    busy, other = played.connect(), played.connect()
    played.request(busy, "a")
    played.wait(5.0)
    played.request(other, "b")
    played.wait(2.0)
    played.request(busy, "a")  # has to wait: the build has to leave
    assert (played.state("a1"), busy.waiting["a1"]) == ("draining", 1)
    played.finish(busy, "a1")
    played.wait(1.0)
    assert other.requests["b1"] == 1
    played.wait(4.0)
    assert played.state("b1") == "draining", "it is the other's turn"
    played.finish(other, "b1")
    played.wait(1.0)
    assert busy.requests["a1"] == 1


def test_eight_clients_that_alternate_are_all_served() -> None:
    played = Played(LARGE)
    played.list_builds(A, B)
    clients = [played.connect() for _ in range(8)]
    served_by: dict[int, int] = dict.fromkeys(range(8), 0)
    for turn in range(400):
        for number, client in enumerate(clients):
            for each in ("a1", "b1"):
                if client.requests.get(each):
                    played.finish(client, each)
                    served_by[number] += 1
            if not any(client.waiting.values()):
                played.request(client, "ab"[(turn + number) % 2])
        played.wait(0.25)
    assert min(served_by.values()) >= 10
    assert played.current("a").loads >= 3
    assert played.current("b").loads >= 3


def test_a_stream_that_does_not_end_keeps_its_build_and_other_requests_of_it() -> None:
    played = Played(LARGE)
    played.list_builds(A, B)
    endless, other = played.connect(), played.connect()
    played.request(endless, "a")
    played.wait(5.0)
    played.request(other, "b")
    played.wait(2.0)
    played.request(endless, "a")
    assert endless.waiting["a1"] == 1
    played.wait(32.0)
    assert endless.waiting["a1"] == 0, "it is served again, since the other cannot be"
    assert "a1" in endless.held


def test_a_build_without_use_is_unloaded_after_idle_seconds() -> None:
    played = Played(SMALL)
    played.list_builds(build("a", idle_seconds=60.0))
    served(played, "a")
    played.wait(55.0)
    assert played.state("a1") == "ready"
    played.wait(10.0)
    assert played.state("a1") == "unloaded"


@pytest.mark.parametrize(
    ("keep_alive", "maximum", "stays", "ends"),
    [(0.0, 100.0, 0.0, 0.5), (50.0, 100.0, 45.0, 55.0), (-1.0, 100.0, 95.0, 105.0)],
)
def test_keep_alive_sets_how_long_a_build_stays_loaded(
    keep_alive: float, maximum: float, stays: float, ends: float
) -> None:
    played = Played(SMALL)
    played.list_builds(build("a", longest_keep_alive=maximum))
    frontend = played.connect()
    played.request(frontend, "a")
    played.wait(1.0)
    played.finish(frontend, "a1", keep_alive=keep_alive)
    played.wait(stays)
    assert played.state("a1") == ("ready" if stays else "unloaded")
    played.wait(ends - stays)
    assert played.state("a1") == "unloaded"


def test_without_a_maximum_keep_alive_is_ignored() -> None:
    played = Played(SMALL)
    played.list_builds(A)
    frontend = played.connect()
    played.request(frontend, "a")
    played.wait(1.0)
    played.finish(frontend, "a1", keep_alive=0.0)
    played.wait(100.0)
    assert played.state("a1") == "ready"


def test_a_load_that_fails_is_tried_again_only_after_growing_pauses() -> None:
    played = Played(SMALL)
    played.list_builds(A)
    played.broken = {"a1"}
    frontend = played.connect()
    for failures, pause in enumerate((*RETRIES, RETRIES[-1]), 1):
        played.request(frontend, "a")
        played.wait(0.5)
        assert (played.state("a1"), frontend.waiting["a1"]) == ("failed", 0)
        assert played.current("a").reason == "it is broken"
        played.request(frontend, "a")
        assert (played.state("a1"), frontend.waiting["a1"]) == ("failed", 0)
        assert 0 < played.current("a").retry_seconds <= pause
        assert sum(str(each).startswith("Grant") for each in played.history) == failures
        played.wait(pause)
        assert played.state("a1") == "unloaded"
    played.broken = set()
    played.request(frontend, "a")
    played.wait(1.0)
    assert (played.state("a1"), played.current("a").reason) == ("ready", "")


def test_a_server_of_one_build_gives_up_with_its_status() -> None:
    played = Played(SMALL, alone=True)
    played.list_builds(START)
    played.end("a1", 2)
    assert played.gave_up == 2


def test_one_of_several_fails_alone() -> None:
    played = Played(SMALL)
    played.list_builds(START, build("b", load="start"))
    played.end("a1", 2)
    played.wait(1.0)
    assert played.gave_up is None
    assert played.states() == {"a1": "failed", "b1": "ready"}


def test_a_launcher_that_is_killed_is_started_again_and_keeps_its_memory() -> None:
    played = Played(LARGE)
    played.list_builds(A, B)
    first, second = played.connect(), played.connect()
    played.request(first, "a")
    played.wait(1.0)
    played.end("a1", -9)
    played.serve("a2")
    played.request(second, "b")
    played.wait(RESTART_SECONDS + 0.5)
    assert played.current("a").loads == 2
    assert played.state("b1") == "loading"
    assert first.requests["a1"] == 1


def test_backends_that_end_are_counted_with_those_that_end_with_their_launcher() -> None:
    played = Played(LARGE)
    played.list_builds(START)
    played.wait(1.0)
    assert (played.state("a1"), played.current("a").ends) == ("ready", 0)
    played.fleet.reported("a1", BackendEnded(-9), played.now)
    assert played.current("a").ends == 1
    played.end("a1", -9)
    assert played.current("a").ends == 2


def test_memory_of_a_killed_launcher_is_free_once_nobody_wants_its_build() -> None:
    played = Played(LARGE)
    played.list_builds(A, B)
    first, second = played.connect(), played.connect()
    played.request(first, "a")
    played.wait(1.0)
    played.end("a1", -9)
    played.serve("a2")
    played.disconnect(first)
    played.request(second, "b")
    played.wait(1.0)
    assert played.states() == {"a1": "unloaded", "b1": "ready"}


def test_a_swap_loads_beside_and_changes_over_in_one_step() -> None:
    played = Played(SMALL)
    played.list_builds(A)
    frontend = played.connect()
    played.request(frontend, "a")
    played.wait(1.0)
    played.list_builds(build("a", "2"))
    assert [each.build.id for each in played.shown().builds if each.current] == ["a1"]
    played.request(frontend, "a")
    assert frontend.requests["a1"] == 2
    played.wait(1.0)
    assert played.states() == {"a2": "ready", "a1": "draining"}
    assert played.current("a").build.id == "a2"
    for _ in range(2):
        played.finish(frontend, "a1")
    assert played.states() == {"a2": "ready"}


def test_an_old_build_that_does_not_fit_beside_its_kept_successor_is_refused() -> None:
    played = Played({"a1": 81, "a2": 81, "c1": 50}, 100)
    played.list_builds(build("a", keep=True), build("c", idle_seconds=7.0))
    frontend = played.connect()
    played.request(frontend, "c")
    played.request(frontend, "a")
    played.list_builds(build("a", "2", keep=True), build("c", idle_seconds=7.0))
    played.request(frontend, "a")
    played.end("a1", -9)
    played.serve("c1")
    played.finish(frontend, "c1")
    for _ in range(12):
        played.wait(5.0)
        played.finish(frontend, "a2")
    assert played.state("a2") == "ready"
    assert frontend.waiting["a1"] == 0, "it is refused"


def test_a_swap_without_room_drains_the_old_build_first() -> None:
    played = Played(LARGE)
    played.list_builds(A)
    frontend = played.connect()
    played.request(frontend, "a")
    played.wait(1.0)
    played.list_builds(build("a", "2"))
    assert played.states() == {"a2": "loading", "a1": "draining"}
    played.request(frontend, "a")
    assert (frontend.requests["a1"], frontend.waiting["a2"]) == (1, 1)
    played.finish(frontend, "a1")
    played.wait(1.0)
    assert played.states() == {"a2": "ready"}
    assert frontend.requests["a2"] == 1


@pytest.mark.parametrize("needs", [SMALL, LARGE])
def test_a_swap_that_fails_leaves_or_restores_the_old_build(needs: dict[str, int]) -> None:
    played = Played(needs)
    played.list_builds(A)
    frontend = served(played, "a")
    played.broken = {"a2"}
    played.list_builds(build("a", "2"))
    played.wait(2.0)
    assert played.current("a").build.id == "a1"
    assert played.states() == {"a1": "ready", "a2": "failed"}
    played.request(frontend, "a")
    assert frontend.requests["a1"] == 1


def test_a_swap_that_can_never_fit_changes_nothing() -> None:
    played = Played({"a1": 60, "a2": 160})
    played.list_builds(A)
    served(played, "a")
    played.list_builds(build("a", "2"))
    played.wait(1.0)
    assert played.states() == {"a1": "ready", "a2": "failed"}


def test_a_name_that_is_removed_ends_with_its_last_session() -> None:
    played = Played(SMALL)
    played.list_builds(A, B)
    frontend = played.connect()
    played.request(frontend, "a")
    played.wait(1.0)
    played.list_builds(B)
    assert played.states() == {"b1": "unloaded", "a1": "draining"}
    played.finish(frontend, "a1")
    assert played.states() == {"b1": "unloaded"}


def test_a_new_supervisor_starts_what_frontends_still_hold() -> None:
    played = Played(SMALL)
    played.list_builds(build("a", "2"), B)
    frontend = played.connect(A, B)
    played.wait(1.0)
    assert played.states() == {"a2": "unloaded", "b1": "ready", "a1": "draining"}
    assert set(frontend.held) == {"a1", "b1"}
    played.finish(frontend, "a1")
    assert "a1" not in played.states()


def test_loaded_and_unloaded_by_hand() -> None:
    played = Played(SMALL)
    played.list_builds(build("a", aliases=("other",)), B)
    frontend = played.connect()
    played.load(frontend, "other")
    played.wait(1.0)
    assert played.states() == {"a1": "ready", "b1": "unloaded"}
    played.request(frontend, "a")
    played.unload(frontend, "a")
    assert played.state("a1") == "ready", "a request of it is open"
    played.finish(frontend, "a1")
    assert played.state("a1") == "unloaded"
    played.request(frontend, "a")
    played.wait(1.0)
    assert frontend.requests["a1"] == 1
    played.load(frontend, "c")
    assert frontend.done[-1].problem == "there is no model 'c'; there are a, b"
    assert [each.problem for each in frontend.done[:-1]] == ["", ""]


@pytest.mark.parametrize(
    ("model", "end", "reason"),
    [
        (build("a", idle_seconds=60.0), lambda played, _: played.wait(70.0), "idle"),
        (build("a"), lambda played, frontend: played.unload(frontend, "a"), "by hand"),
        (build("a"), lambda played, frontend: played.request(frontend, "b"), "room for b"),
        (build("a"), lambda played, _: played.list_builds(build("a", "2"), B), "replaced"),
    ],
)
def test_the_log_has_why_a_build_is_unloaded(
    model: Build,
    end: Callable[[Played, Frontend], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rowcast.launch")
    small = {"a1": 40, "a2": 40, "b1": 80}
    played = Played(small)
    played.list_builds(model, B)
    frontend = served(played, "a")
    end(played, frontend)
    played.wait(2.0)
    assert played.states().get("a1", "unloaded") == "unloaded"
    lines = [each.getMessage() for each in caplog.records if "unloading" in each.getMessage()]
    assert lines == [f"model=a build=a1 unloading reason={reason!r}"]


def test_models_for_the_start_do_not_displace_each_other() -> None:
    played = Played(LARGE)
    played.list_builds(START, build("b", load="start"))
    played.wait(60.0)
    assert played.states() == {"a1": "ready", "b1": "loading"}
    assert "waits for memory" in played.current("b").stage


def test_a_problem_with_the_file_is_shown_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    played = Played(SMALL)
    played.list_builds(A)
    frontend = played.connect()
    for _ in range(2):
        played.fleet.problem("line 3: what?")
    played.settle()
    assert frontend.shown is not None
    assert frontend.shown.problem == "line 3: what?"
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "models not changed: line 3: what?"
    ]


class AnyOrder(RuleBasedStateMachine):
    """Everything that can happen, in any order. `Played` checks what must always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.played = Played({})
        self.revision = dict.fromkeys("abc", 1)

    @initialize(
        needs=st.lists(st.integers(5, 100), min_size=3, max_size=3),
        keep=st.sampled_from(["", "", "a"]),
        start=st.sampled_from(["", "a", "ab", "abc"]),
    )
    def begin(self, needs: list[int], keep: str, start: str) -> None:
        sizes = dict(zip("abc", needs, strict=True))
        self.played.needs = {f"{name}{n}": sizes[name] for name in "abc" for n in range(1, 40)}
        self.keep, self.start = keep, start
        self.played.list_builds(*self._builds("abc"))

    def _builds(self, names: Sequence[str]) -> list[Build]:
        return [
            build(
                name,
                str(self.revision[name]),
                keep=name in self.keep,
                load="start" if name in self.start else "lazy",
                idle_seconds=7.0 if name == "c" else 0.0,
            )
            for name in names
        ]

    def _frontend(self, number: int) -> Frontend:
        frontends = list(self.played.frontends.values())
        return frontends[number % len(frontends)]

    def _launcher(self, number: int) -> str:
        launchers = sorted(self.played.launchers)
        return launchers[number % len(launchers)]

    @rule()
    def connect(self) -> None:
        if len(self.played.frontends) < 4:
            self.played.connect()

    @precondition(lambda self: self.played.frontends)
    @rule(number=st.integers(0, 3))
    def disconnect(self, number: int) -> None:
        self.played.disconnect(self._frontend(number))

    @precondition(lambda self: self.played.frontends)
    @rule(number=st.integers(0, 3), name=st.sampled_from("abc"))
    def request(self, number: int, name: str) -> None:
        if any(e.build.name == name and e.current for e in self.played.shown().builds):
            self.played.request(self._frontend(number), name)

    @precondition(lambda self: self.played.frontends)
    @rule(number=st.integers(0, 3), which=st.integers(0, 5))
    def finish(self, number: int, which: int) -> None:
        frontend = self._frontend(number)
        if open_ones := sorted(each for each, count in frontend.requests.items() if count):
            self.played.finish(frontend, open_ones[which % len(open_ones)])

    @precondition(lambda self: self.played.launchers)
    @rule(number=st.integers(0, 5))
    def serve(self, number: int) -> None:
        self.played.serve(self._launcher(number))

    @precondition(lambda self: self.played.launchers)
    @rule(number=st.integers(0, 5), status=st.sampled_from([-9, 2, 3]))
    def end(self, number: int, status: int) -> None:
        self.played.end(self._launcher(number), status)

    @rule(name=st.sampled_from("abc"))
    def breaks(self, name: str) -> None:
        self.played.broken ^= {f"{name}{self.revision[name]}"}

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 35.0]), loads=st.booleans())
    def wait(self, seconds: float, loads: bool) -> None:
        self.played.wait(seconds, loads=loads)

    @rule(name=st.sampled_from("abc"), left_out=st.sampled_from(["", "", "b"]))
    def swap(self, name: str, left_out: str) -> None:
        self.revision[name] += self.revision[name] < 39
        names = [each for each in "abc" if each not in left_out]
        self.played.list_builds(*self._builds(names))

    @precondition(lambda self: self.played.frontends)
    @rule(number=st.integers(0, 3), name=st.sampled_from("abc"), up=st.booleans())
    def by_hand(self, number: int, name: str, up: bool) -> None:
        act = self.played.load if up else self.played.unload
        act(self._frontend(number), name)

    def teardown(self) -> None:
        """Whatever has happened, everyone is served or refused in bounded time."""
        for _ in range(60):
            if not self._waits():
                return
            self.played.wait(5.0)
            for frontend in self.played.frontends.values():
                for each in list(frontend.requests):
                    while frontend.requests[each]:
                        self.played.finish(frontend, each)
        raise AssertionError(f"still waiting: {self.played.states()}: {self._waits()}")

    def _waits(self) -> list[str]:
        frontends = self.played.frontends.values()
        return [
            *(each for frontend in frontends for each in frontend.holding),
            *(each for frontend in frontends for each, n in frontend.waiting.items() if n),
        ]


TestAnyOrder = pytest.mark.slow(AnyOrder.TestCase)
TestAnyOrder.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
