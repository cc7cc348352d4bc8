"""From the command line to an exit status: install, list, run. The only module that prints.

Exit: 0; 1 if a contestant did not serve or was faulty, or a step of installing failed; 2 if the
command is invalid. In every case, all servers that were started are ended.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import FrameType

from commands.bench_peers import report
from commands.bench_peers.installation import Installation, NotInstalledError, StepError, cache
from commands.bench_peers.model import make_model
from commands.bench_peers.options import Options, parse
from commands.bench_peers.peer import Peer, Setting
from commands.bench_peers.rounds import Burst, Rounds, Turns
from commands.bench_peers.scores import scores
from commands.bench_peers.service import NeverReadyError, Service
from commands.bench_peers.shapes import SHAPES
from local.ports import any_free_port

Peers = Mapping[str, Peer]


def main(argv: Sequence[str], peers: Peers) -> int:
    """Run one command."""
    options = parse(argv, peers)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return {"install": _install, "list": _list, "run": _run}[options.command](options, peers)
    except KeyboardInterrupt:
        _log("interrupted")
        return 130


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _install(options: Options, peers: Peers) -> int:
    failed = 0
    for name in options.names:
        installation = _installation(name)
        _log(f"installing {name}; its output goes to {installation.log}")
        try:
            installation.unstamp()
            peers[name].install(installation)
            installation.stamp(peers[name].version)
        except NotInstalledError as error:
            _log(str(error))
        except StepError as error:
            _log(f"{name} could not be installed. {error}")
            failed = 1
    return failed


def _list(_: Options, peers: Peers) -> int:
    for name, peer in peers.items():
        try:
            peer.check(_installation(name))
            state = "ready"
        except NotInstalledError:
            state = "not installed"
        precisions = ", ".join(peer.precisions)
        print(f"{name:14} {peer.version:14} {state:14} {precisions}")
    return 0


@dataclass(slots=True)
class Contest:
    """The contestants, and those left out with the reason; `ending` ends all that were started."""

    setting: Setting
    patience: float
    ending: contextlib.ExitStack
    services: list[tuple[Service, int]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    facts: dict[str, dict[str, object]] = field(default_factory=dict)

    def enter(self, peer: Peer, precision: str) -> None:
        """Start one contestant, or record why it does not take part."""
        label, installation = f"{peer.name}:{precision}", _installation(peer.name)
        try:
            peer.check(installation)
            installation.folder.mkdir(parents=True, exist_ok=True)
            port = any_free_port()
            plan = peer.plan(installation, self.setting, precision, port)
            service = Service(label, plan, port, installation.folder / f"{precision}.log")
            self.ending.callback(service.stop)
            seconds = service.start(self.patience)
        except (NotInstalledError, StepError, NeverReadyError) as error:
            self.absent[label] = str(error)
            _log(f"{label} is left out: {error}")
            return
        _log(f"{label} serves after {seconds:.1f} s")
        self.services.append((service, peer.most_streams))
        self.facts[label] = {
            "version": peer.version,
            "command": list(plan.command),
            "start_seconds": seconds,
        }


def _run(options: Options, peers: Peers) -> int:
    shape = SHAPES[options.model]
    _log(f"model {options.model}: {shape.parameters / 1e6:,.1f} M parameters")
    model = make_model(shape, cache() / "models" / options.model)
    setting = Setting(model, options.context, options.threads, max(options.streams))
    with contextlib.ExitStack() as ending:
        entered = Contest(setting, options.patience, ending)
        for name, precision in options.contestants:
            entered.enter(peers[name], precision)
        bursts = _measure(entered, options) if entered.services else []
    return _report(options, entered, bursts)


def _measure(entered: Contest, options: Options) -> list[Burst]:
    turns = Turns(
        options.streams,
        options.rounds,
        options.prompt_tokens,
        options.reply_tokens,
        options.timeout,
        options.again,
        options.seed,
        options.rest,
    )
    rounds = Rounds(entered.services, turns, _log)
    rounds.warm_up()
    return rounds.measure()


def _report(options: Options, entered: Contest, bursts: Sequence[Burst]) -> int:
    scored = scores(bursts)
    title = (
        f"{options.model}: prompt {options.prompt_tokens}, reply {options.reply_tokens} tokens, "
        f"greedy, one burst, {options.rounds} rounds, {options.threads} threads"
        + f"; again with {options.again} more"
        * bool(options.again)
    )
    print(report.table(title, scored, entered.absent))
    if options.json:
        report.write(options.json, asdict(options), entered.facts, scored, bursts)
    return int(bool(entered.absent) or any(score.faults for score in scored))


def _installation(name: str) -> Installation:
    return Installation(name, cache() / name)


def _log(line: str) -> None:
    sys.stderr.write(f"bench_peers: {line}\n")
    sys.stderr.flush()
