"""The supervisor as a process: several models, memory for fewer, frontends that come and go.

Covers `launch/forked`, `launch/forks`, `launch/reports`, `launch/memory`, `saved_state`.
"""

import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from engine.rule import reply as expected
from launch.supervised import LAZY, PATIENCE, START, SUPERVISOR, reply, supervised
from processes import children, family, gone, kernel_name, until
from rowcast.launch.memory import memory_for_models
from rowcast.models.messages import Drop, Held, Hello, Hold, Load, Unload
from rowcast.settings import read_settings
from rowcast.transport.socket_folder import LONGEST_PATH


def test_a_model_is_loaded_by_its_first_request_and_serves(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START, second=LAZY) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        assert frontend.current("second").state == "unloaded"
        assert supervisor.launchers("second") == []
        second = frontend.hold("second")
        assert (second.needs, second.loads, second.pinned) == (60, 1, True)
        assert second.fingerprint
        assert second.context_length > 0
        assert reply(second.url, b"Hello", 5) == expected(b"Hello", 1, 5, ignore_eos=True)[0]


def test_each_model_has_its_own_processes_with_its_name(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START, second=START) as supervisor:
        frontend = supervisor.connect()
        backends = []
        for name in ("first", "second"):
            frontend.await_state(name, "ready")
            (launcher,) = supervisor.launchers(name)
            (backend,) = children(launcher.pid)
            assert kernel_name(backend.pid) == name
            backends.append(backend)
        backends[0].kill()
        until(lambda: gone(backends[:1]), "its end")
        until(lambda: bool(children(supervisor.launchers("first")[0].pid)), "the next backend")
        assert not gone(backends[1:])


def test_with_room_for_one_two_models_take_turns(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=100, first=START, second=LAZY) as supervisor:
        one, two = supervisor.connect(), supervisor.connect()
        one.await_state("first", "ready")
        one.hold("first")
        two.send(Hold(two.current("second").build))
        two.wait_for(lambda: two.states() == {"first": "draining", "second": "loading"}, "draining")
        assert "waits for memory" in two.current("second").stage
        assert supervisor.launchers("first"), "it is still held"
        one.drop("first")
        two.await_state("second", "ready")
        assert supervisor.launchers("first") == []
        two.drop("second")
        one.wait_for(lambda: one.states()["second"] == "ready", "the second is ready")
        one.hold("first")
        assert supervisor.launchers("second") == []


def test_what_can_never_fit_is_refused(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=50, first=START, second=LAZY) as supervisor:
        frontend = supervisor.connect()
        reason = frontend.await_state("first", "failed").reason
        assert "it does not fit: weights 60 bytes" in reason
        until(lambda: supervisor.launchers("first") == [], "its launcher has ended")


def test_a_model_that_is_broken_harms_no_other(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "llama", "hidden_size": -1}')
    with supervised(tmp_path, first=START, second={"model": str(broken)}) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        frontend.send(Hold(frontend.current("second").build))
        failed = frontend.await_state("second", "failed")
        assert "hidden_size -1" in failed.reason
        assert failed.retry_seconds > 0
        assert frontend.current("first").state == "ready"


def test_a_swap_changes_over_when_the_new_build_serves(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        old = frontend.hold("first").build
        supervisor.list_models(first=START | {"context_length": 77})
        supervisor.process.send_signal(signal.SIGHUP)
        frontend.wait_for(lambda: frontend.current("first").build.id != old.id, "the new build")
        assert frontend.current("first").state == "ready"
        assert [each.state for each in frontend.shown.builds] == ["ready", "draining"]
        frontend.send(Drop(old.id))
        frontend.wait_for(lambda: len(frontend.shown.builds) == 1, "the old one is gone")
        assert len(supervisor.launchers("first")) == 1


def test_a_file_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        before = frontend.await_state("first", "ready")
        supervisor.models.write_text("{")
        supervisor.process.send_signal(signal.SIGHUP)
        frontend.wait_for(lambda: bool(frontend.shown.problem), "the problem is shown")
        assert frontend.current("first") == before


def test_a_successor_starts_what_is_held_though_the_file_is_wrong(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=200, first=START, second=LAZY) as supervisor:
        frontend = supervisor.connect()
        held = [frontend.hold("second").build, frontend.current("first").build]
        supervisor.list_models(second=LAZY)
        supervisor.process.send_signal(signal.SIGHUP)
        frontend.send(Hold(held[1]))
        frontend.wait_for(lambda: "first" not in frontend.states(), "the file is read")
        supervisor.models.write_text("{")
        supervisor.kill()
        (supervisor.folder / "models.sock").unlink()
        supervisor.start()
        again = supervisor.connect()
        again.send(Hello(os.getpid(), tuple(held)))
        again.await_state("second", "ready")
        again.wait_for(lambda: len(again.shown.builds) == 2, "the old one is known")
        again.wait_for(lambda: again.shown.builds[1].state == "draining", "it serves again")
        assert again.shown.builds[1].build == held[1]
        assert again.shown.problem
        assert {each for each in again.received if isinstance(each, Held)} == {
            Held(each.id) for each in held
        }


def test_loaded_and_unloaded_by_hand(tmp_path: Path) -> None:
    with supervised(tmp_path, first=LAZY) as supervisor:
        frontend = supervisor.connect()
        frontend.send(Load(1, "first"))
        frontend.await_state("first", "ready")
        frontend.send(Unload(2, "first"))
        frontend.await_state("first", "unloaded")
        assert supervisor.launchers("first") == []
        assert list(supervisor.folder.glob("first-*.sock")) == []


def test_builds_that_a_killed_frontend_held_are_free(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        one, two = supervisor.connect(), supervisor.connect()
        one.await_state("first", "ready")
        one.hold("first")
        two.await_state("first", "ready")
        two.send(Unload(1, "first"))
        two.wait_for(lambda: not two.current("first").pinned, "it is to be unloaded")
        assert two.current("first").state == "ready"
        one.connection.close()
        two.await_state("first", "unloaded")


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\1\xc1", b"\xff" * 64])
def test_a_peer_with_another_protocol_is_dropped_alone(tmp_path: Path, garbage: bytes) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(PATIENCE)
            stranger.connect(str(supervisor.folder / "models.sock"))
            stranger.sendall(garbage)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(1 << 16):
                pass
        frontend.await_state("first", "ready")


def test_a_long_folder_leaves_less_of_a_name_in_a_socket_s_path(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * max(1, 75 - len(str(tmp_path))))
    folder.mkdir()
    with supervised(folder, 1000, SUPERVISOR, **{"a-model-with-a-long-name": START}) as supervisor:
        url = supervisor.connect().await_state("a-model-with-a-long-name", "ready").url
        assert len(url) == LONGEST_PATH
        assert reply(url, b"Hello", 5)


def test_its_socket_is_for_this_user_alone_and_nothing_is_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with supervised(tmp_path, first=START, second=START) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("second", "ready")
        assert (supervisor.folder / "models.sock").stat().st_mode & 0o777 == 0o600
        everyone = family(supervisor.process.pid)
        supervisor.process.terminate()
        assert supervisor.process.wait(PATIENCE) == 0
        until(lambda: gone(everyone), "all have ended")
        assert not supervisor.folder.exists()
        log = capfd.readouterr().err
        assert "launcher started" in log
        assert "level=ERROR" not in log


def test_a_launcher_holds_no_socket_of_the_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path, first=START) as supervisor:
        frontend = supervisor.connect()
        frontend.await_state("first", "ready")
        (launcher,) = supervisor.launchers("first")
        places = [each.laddr for each in launcher.net_connections("unix")]
        assert not [each for each in places if str(each).endswith("models.sock")]


def test_the_memory_of_all_models_is_given_or_a_share_of_what_is_free() -> None:
    assert memory_for_models(read_settings(models_memory=123)) == 123
    assert 0 < memory_for_models(read_settings()) < psutil.virtual_memory().total
