"""The bench as a user runs it: commands against a real server, their output and exit status.

Covers `bench/cli`, `driver`, `exchange`, `target`, `bench/options`, `progress`, `json_file`,
`byte_checks`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from commands.bench import cli
from commands.bench.load.requests import stream_name
from processes import ROOT
from scripts.load_server import Faults, LoadServer

pytestmark = pytest.mark.slow

BENCH = ROOT / "scripts" / "bench"
VICTIM = stream_name(3)


def bench(url: str, *arguments: str) -> int:
    small = ("--streams", "4", "--requests", "8", "--reply-tokens", "24", "--timeout", "30")
    return cli.main(["--url", url, *small, *arguments])


@pytest.mark.parametrize("dialect", ["native", "chat", "openai"])
def test_every_byte_is_verified(dialect: str, capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer() as server:
        assert bench(server.url, "--dialect", dialect, "--verify", "--distinct") == 0
        assert server.connections == 4
    shown = capsys.readouterr()
    assert "8 ok, 0 failed of 8" in shown.out
    assert "(counted by rule)" in shown.out
    assert shown.err == ""


def test_openai_chat(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer() as server:
        assert bench(server.url, "--dialect", "openai-chat", "--prompt-tokens", "12") == 0
        messages = server.requests[0]["messages"]
    assert isinstance(messages, list)
    assert len(messages[0]["content"].split()) == 12
    assert "(counted by usage)" in capsys.readouterr().out


@pytest.mark.parametrize("dialect", ["native", "chat", "openai"])
def test_a_flipped_byte_is_found(dialect: str, capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(victim=VICTIM, flip_at=2)) as server:
        assert bench(server.url, "--dialect", dialect, "--verify", "--distinct") == 1
    assert "stream 3: byte 2 differs" in capsys.readouterr().err


def test_swapped_streams_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(swap_after=3)) as server:
        assert bench(server.url, "--streams", "2", "--requests", "2", "--verify") == 1
    errors = capsys.readouterr().err
    assert "stream 0: byte 1" in errors
    assert "these are bytes of stream 1" in errors
    assert "these are bytes of stream 0" in errors


def test_prompts_come_home_without_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer() as server:
        assert bench(server.url, "--distinct") == 0
        assert server.requests[0]["return_prompt"] is True
    assert "(counted by pieces)" in capsys.readouterr().out


def test_a_stranger_is_seen_without_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(victim=VICTIM)) as server:
        extra = json.dumps({"text": stream_name(5) + "is not what stream 3 asked for"})
        assert bench(server.url, "--distinct", "--extra", extra) == 1
    assert "these are bytes of stream 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("faults", "dialect", "reason"),
    [
        (Faults(victim=VICTIM, cut_after=2), "native", "cut before its end"),
        (Faults(victim=VICTIM, cut_after=2), "chat", "cut before its end"),
        (Faults(victim=VICTIM, no_end=True), "chat", "no end event"),
        (Faults(victim=VICTIM, no_end=True), "openai", "no end event"),
        (Faults(victim=VICTIM, status=503), "native", "status 503"),
        (Faults(victim=VICTIM, wrong_type=True), "native", "content type text/html"),
    ],
)
def test_failures_are_counted_and_named(
    faults: Faults, dialect: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with LoadServer(faults) as server:
        assert bench(server.url, "--dialect", dialect, "--verify", "--distinct") == 1
    shown = capsys.readouterr()
    assert "7 ok, 1 failed of 8" in shown.out
    assert f"failed: 1 x {reason}" in shown.out
    assert f"bench: 1 requests failed; first: stream 3: {reason}" in shown.err


def test_a_refusals_body_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(status=503)) as server:
        assert bench(server.url) == 1
    shown = capsys.readouterr()
    assert "503: 8" in shown.out
    assert "The waiting line is full." in shown.err


def test_errors_can_be_allowed() -> None:
    with LoadServer(Faults(status=503)) as server:
        assert bench(server.url, "--allow-errors") == 0


def test_a_cut_stream_is_judged_as_far_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(victim=VICTIM, cut_after=2, flip_at=1)) as server:
        assert bench(server.url, "--verify", "--distinct") == 1
    errors = capsys.readouterr().err
    assert "stream 3: byte 1 differs" in errors
    assert "stream 3: cut before its end" in errors


def test_silence_ends_at_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(victim=VICTIM, silent=True)) as server:
        assert bench(server.url, "--distinct", "--timeout", "0.5") == 1
    assert "failed: 1 x no end within 0.5 s" in capsys.readouterr().out


def test_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert bench(f"http://127.0.0.1:{port}") == 1
    assert "8 x connection refused" in capsys.readouterr().out


def test_connections_are_kept_or_not() -> None:
    with LoadServer() as server:
        assert bench(server.url, "--no-keepalive") == 0
        assert server.connections == 8
        assert "Connection: close" in server.heads[0]
    with LoadServer(Faults(close_each=True)) as server:
        assert bench(server.url, "--verify") == 0
        assert server.connections == 8


def test_open_loop_and_warm_up() -> None:
    with LoadServer() as server:
        assert bench(server.url, "--rate", "400", "--warmup", "3", "--verify") == 0
        assert len(server.requests) == 11
        assert len({str(request["text"]) for request in server.requests}) == 11


def test_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    with LoadServer() as one, LoadServer() as two:
        tokens = ("--token", "first-secret", "--vs-token", "second-secret")
        two_sides = ("--vs", two.url, "--vs-dialect", "chat", "--rounds", "2")
        assert bench(one.url, *two_sides, *tokens, "--verify", "--json", str(file)) == 0
        assert (len(one.requests), len(two.requests)) == (16, 16)
        assert "Authorization: Bearer first-secret" in one.heads[0]
        assert "Authorization: Bearer second-secret" in two.heads[0]
    report = json.loads(file.read_text())
    assert [(run["label"][0], run["round"]) for run in report["runs"]] == [
        *(("A", 1), ("B", 1), ("A", 2), ("B", 2))
    ]
    assert "secret" not in file.read_text()
    assert {figure["name"] for figure in report["comparisons"][0]["figures"]} >= {"gap p99, ms"}
    assert "B/A" in capsys.readouterr().out


def test_models_take_turns_and_have_figures_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    with LoadServer() as server:
        models = ("--model", "small,big", "--model", "org/third")
        requests = ("--streams", "1", "--requests", "7")  # one at a time: in their order
        assert bench(server.url, *models, *requests, "--verify", "--json", str(file)) == 0
        paths = [head.split(" ")[1].removeprefix("/predictions/") for head in server.heads]
    assert paths == ["small", "big", "org/third", "small", "big", "org/third", "small"]
    shown = capsys.readouterr().out
    for model, count in (("small", 3), ("big", 2), ("org/third", 2)):
        _, table = shown.split(f"native {model}\n")
        assert f"{count} ok, 0 failed of {count}" in table.split("\n\n")[1]
    (run,) = json.loads(file.read_text())["runs"]
    counts = {model: part["requests"] for model, part in run["models"].items()}
    assert counts == {"small": 3, "big": 2, "org/third": 2}
    assert [request["model"] for request in run["requests"]] == paths


def test_one_model_has_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer() as server:
        assert bench(server.url, "--dialect", "openai", "--model", "only") == 0
        assert {str(request["model"]) for request in server.requests} == {"only"}
    assert capsys.readouterr().out.count("whole reply") == 1


def test_a_failure_is_counted_with_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer(Faults(victim=VICTIM, cut_after=2)) as server:
        assert bench(server.url, "--model", "a,b", "--distinct", "--verify") == 1
    a, b = capsys.readouterr().out.split("native a\n")[1].split("native b\n")
    assert "4 ok, 0 failed of 4" in a
    assert "3 ok, 1 failed of 4" in b


def test_a_comparison_of_models_mixes_each_side() -> None:
    with LoadServer() as server:
        sides = ("--model", "a,b", "--vs-model", "c,d", "--rounds", "1")
        assert bench(server.url, "--dialect", "openai", *sides) == 0
        models = [str(request["model"]) for request in server.requests]
    assert sorted(models[:8]) == ["a"] * 4 + ["b"] * 4
    assert sorted(models[8:]) == ["c"] * 4 + ["d"] * 4


def test_a_token_never_goes_to_another_server() -> None:
    with LoadServer() as one, LoadServer() as two:
        assert bench(one.url, "--vs", two.url, "--rounds", "1", "--token", "first-secret") == 0
        assert "first-secret" in one.heads[0]
        assert not any("Authorization" in head for head in two.heads)


def test_report_holds_raw_moments(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    with LoadServer() as server:
        assert bench(server.url, "--verify", "--json", str(file)) == 0
    report = json.loads(file.read_text())
    (run,) = report["runs"]
    assert [request["index"] for request in run["requests"]] == list(range(8))
    for request in run["requests"]:
        moments = [request["due"], request["started"], request["first_byte"]]
        moments += [*request["arrivals"], request["ended"]]
        assert moments == sorted(moments)
    assert run["summary"]["tokens"] == sum(request["tokens"] for request in run["requests"])
    assert {"cores", "python"} <= set(report["machine"])


def test_extra_and_path() -> None:
    with LoadServer() as server:
        extra = ("--extra", '{"top_k": 3}', "--no-seed", "--path", "/predictions/elsewhere")
        assert bench(f"{server.url}/base/", *extra, "--allow-errors") == 0
        assert server.heads[0].startswith("POST /base/predictions/elsewhere HTTP/1.1")
        assert server.requests[0]["top_k"] == 3
        assert "seed" not in server.requests[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "https://127.0.0.1:1"], "only http://"),
        (["--url", "http://"], "want http://HOST"),
        (["--url", "http://x", "--dialect", "openai-chat", "--verify"], "not openai-chat"),
        (["--url", "http://x", "--verify", "--no-seed"], "omit --no-seed"),
        (["--url", "http://x", "--dialect", "chat", "--distinct"], "--distinct needs --verify"),
        (["--url", "http://x", "--distinct", "--prompt-tokens", "15"], "over 15"),
        (["--url", "http://x", "--streams", "0"], "at least 1"),
        (["--url", "http://x", "--rate", "nan"], "above 0"),
        (["--url", "http://x", "--extra", "[]"], "want a JSON object"),
        (["--url", "http://x", "--dialect", "gopher"], "invalid choice"),
        (["--url", "http://x", "--model", "a,"], "separated by commas"),
        (["--url", "http://x", "--model", "a,b", "--path", "/x"], "give one --model"),
    ],
)
def test_senseless_commands(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        sys.exit(cli.main(arguments))
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_help_fits_a_screen_and_the_script_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 100
    assert "examples:" in lines


def test_the_script_needs_nothing_installed() -> None:
    with LoadServer() as server:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(BENCH), "--url", server.url, "--verify"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "32 ok, 0 failed of 32" in done.stdout


def test_running_out_of_files_is_a_counted_failure() -> None:
    script = (
        "import resource, sys; from commands.bench import cli; from local import machine;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24));"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    with LoadServer(Faults(silent=True)) as server:
        arguments = ["--url", server.url, "--requests", "40", "--timeout", "2"]
        closed, opened = (
            subprocess.run(
                [sys.executable, "-c", script, *arguments, *more],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                cwd=BENCH.parent,
            )
            for more in (["--streams", "40"], ["--rate", "1000"])
        )
    assert closed.returncode == 2
    assert "40 connections need 104 open files; the hard limit here is 24" in closed.stderr
    assert opened.returncode == 1
    assert "too many open files" in opened.stdout
