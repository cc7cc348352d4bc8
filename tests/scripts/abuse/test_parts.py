"""The basis of abuse's verdicts: repeatable attacks, figures of an interval, bounds, reports.

Covers `draw`, `attacks/facts`, `attacks/kind`, `attacks/kinds`, `attacks/kinds/`, `known_attacks`,
`shot`, `trial`, `measurement/witness`, `abuse/options`, `abuse/report`.
"""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from commands.abuse import report
from commands.abuse.attacks.draw import TEXTS, Draw, nested, with_json
from commands.abuse.attacks.facts import Facts
from commands.abuse.attacks.kinds import KINDS
from commands.abuse.attacks.known_attacks import KINDS as TABLE
from commands.abuse.attacks.known_attacks import ROWS, row_of
from commands.abuse.attacks.shot import Attack, Shot
from commands.abuse.measurement.trial import Result
from commands.abuse.measurement.witness import Figures, figures
from commands.abuse.options import parse

FACTS = Facts("storyteller", 1024, 3072)
BODY_BYTES = 4 << 20


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_draws_the_same_again(name: str) -> None:
    kind = KINDS[name]
    one, other = kind.attack(FACTS, 7, 3), kind.attack(FACTS, 7, 3)
    assert one == other
    assert one.shots


@pytest.mark.parametrize("name", TABLE)
def test_a_known_attack_is_always_the_same_and_no_body_is_too_large(name: str) -> None:
    one = KINDS[name].attack(FACTS, 1, 0, exact=True)
    assert [shot.body for shot in one.shots] == [
        shot.body for shot in KINDS[name].attack(FACTS, 2, 0, exact=True).shots
    ]
    assert all(len(shot.body) <= BODY_BYTES for shot in one.shots)


def test_every_row_of_the_table_has_kinds() -> None:
    assert {*TABLE} <= {*KINDS}
    wanted = {
        "C1",
        "C2",
        "C3",
        *(f"H{at}" for at in range(1, 9)),
        "M1",
        "M2",
        "M3",
        "M7",
        "M8",
        "L",
    }
    assert {*ROWS} == wanted
    assert row_of("c1-ref-chain") == "C1"
    assert row_of("biases") == ""


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_as_long_as_was_asked_and_can_be_sent(name: str) -> None:
    dice = Random(1)
    text = TEXTS[name](dice, 50)
    assert len(text) == 50
    assert text.encode()


def test_sizes_vary_in_a_hunt_only() -> None:
    dice = Random(1)
    assert Draw(dice, FACTS, exact=True).about(100) == 100
    sizes = {Draw(dice, FACTS).about(100) for _ in range(200)}
    assert min(sizes) < 10
    assert 100 < max(sizes) <= 200


def test_json_that_is_deeper_than_python_writes() -> None:
    body = with_json({"a": 1}, "b", nested(3))
    assert json.loads(body) == {"a": 1, "b": [[[]]]}
    assert nested(5000).count("[") == 5000


def test_an_attack_survives_a_file(tmp_path: Path) -> None:
    shot = Shot.of({"a": "\u00e9"}, "/x", copies=3, headers=(("K", "v"),), drip=0.5)
    attack = Attack(kind="k", shots=(shot, Shot(raw=b"\xff\x00")), opening=shot, seed=3, number=4)
    attack.save(tmp_path / "one" / "attack.json")
    assert Attack.load(tmp_path / "one" / "attack.json") == attack


def test_a_request_announces_what_it_never_sends() -> None:
    sent = Shot(path="/x", method="GET", body=b"ab", missing=1).request((("A", "b"),))
    assert sent.startswith(b"GET /x HTTP/1.1\r\n")
    assert b"Content-Length: 3\r\n" in sent
    assert b"A: b\r\n" in sent
    assert sent.endswith(b"\r\n\r\nab")


EVENTS: list[list[object]] = [
    ["chunk", 1.0],
    ["short begun", 1.0],
    ["chunk", 1.1],
    ["short", 1.2, 0.2, "200"],
    ["short begun", 1.5],
    ["chunk", 2.1],
    ["ended", 2.2],
    ["chunk", 4.0],
    ["short", 4.1, 2.6, "503"],
    ["cut", 4.5, "why"],
]


def test_the_longest_gap_is_found() -> None:
    assert figures(EVENTS, 0.5, 2.15).stall == pytest.approx(1.0)


def test_between_streams_there_is_no_gap_but_after_a_cut_there_is() -> None:
    assert figures(EVENTS, 2.15, 4.1).stall == pytest.approx(0.1)
    assert figures([["chunk", 1.0], ["ended", 1.1], ["chunk", 9.0]], 0, 9).stall == 0
    assert figures(EVENTS, 4.0, 8.0).stall == pytest.approx(4.0)
    assert figures(EVENTS, 4.0, 8.0).cuts == 1


def test_what_still_lasts_counts_so_far() -> None:
    seen = figures(EVENTS, 1.05, 3.5)
    assert seen.short == pytest.approx(2.0)
    assert seen.shorts == 1
    assert figures(EVENTS, 1.05, 4.2).refused == 1


def test_of_calm_stretches_the_worse_counts() -> None:
    one = Figures(0.1, 0.2, 0.01, 100, 10, 0, 0)
    other = Figures(0.3, 0.1, 0.02, 50, 5, 1, 1)
    assert one.worse(other) == Figures(0.3, 0.2, 0.02, 100, 10, 0, 0)
    assert one.worse(None) == one


def result(**more: object) -> Result:
    calm = Figures(0.05, 0.08, 0.01, 100, 10, 0, 0)
    usual = Result(
        kind="biases",
        described="POST /x, 10 bytes",
        calm=calm,
        seen=calm,
        before=0,
        peak=0,
        after=0,
        died=(),
        helpers=0,
        stream="intact",
        settled=True,
        answers={"200": 1},
        bodies={"200": "ok"},
        seconds=1.0,
    )
    return replace(usual, **more)  # type: ignore[arg-type]


def test_nothing_exceeded() -> None:
    assert result().harms == []
    assert result(answers={"503": 4, "400": 1}, helpers=2, after=49 << 20).harms == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"seen": Figures(0.26, 0.08, 0.01, 100, 10, 0, 0)}, "stalled for 0.26 s"),
        ({"seen": Figures(0.05, 0.08, 0.01, 100, 10, 0, 2)}, "2 streams of the witness cut"),
        ({"died": ("worker",)}, "died: worker"),
        ({"after": 51 << 20}, "51 MiB not released"),
        ({"stream": "lost (404)"}, "a stream of the other team: lost (404)"),
        ({"answers": {"500": 2}}, "2 x 500"),
    ],
)
def test_each_bound_is_told(more: dict[str, object], sentence: str) -> None:
    assert [harm.startswith(sentence) for harm in result(**more).harms] == [True]


def test_a_stall_is_held_against_the_calm_one() -> None:
    calm = Figures(0.1, 0.08, 0.01, 100, 10, 0, 0)
    assert result(calm=calm, seen=replace(calm, stall=0.45)).harms == []
    assert result(calm=calm, seen=replace(calm, stall=0.55)).harms != []


def test_a_hunts_table_tells_the_worst_of_each_kind() -> None:
    calm = result().calm
    bad = result(seen=replace(calm, stall=3.0), died=("worker",), file="found.json")
    table = report.kinds([result(), bad, result(kind="regex")])
    first, second = table.splitlines()[2:]
    assert first.startswith("| `biases` | 2 | 3.0 s | 60.0 |")
    assert "found.json" in first
    assert second.startswith("| `regex` | 1 |")


def test_the_table_of_rows_and_its_json(tmp_path: Path) -> None:
    one = result(kind="c1-ref-chain", answers={"400": 1}, bodies={"400": "a | b"})
    report.write(tmp_path / "out", report.rows([one]), report.document([one], "m", "c", {}))
    assert "| C1 | `c1-ref-chain`" in (tmp_path / "out.md").read_text()
    assert "a \\| b" in (tmp_path / "out.md").read_text()
    fields = json.loads((tmp_path / "out.json").read_text())
    assert fields["results"][0]["row"] == "C1"
    assert fields["machine"]["processor"]


@pytest.mark.parametrize(
    "argv",
    [
        ["--kind", "nothing"],
        ["--url", "http://127.0.0.1:1"],
        ["--token", "a", "--token", "b"],
        ["--again", "/no/such/file"],
        ["--size", "large"],
    ],
)
def test_a_command_that_makes_no_sense_is_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(argv, KINDS)
    assert ended.value.code == 2


def test_the_help_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], KINDS)
    assert len(capsys.readouterr().out.splitlines()) < 50


def test_sizes_and_the_table() -> None:
    assert parse([], KINDS).seconds == 120
    assert parse(["--minutes", "3"], KINDS).seconds == 180
    assert parse(["--table"], KINDS).kinds == TABLE
    assert parse(["--table"], KINDS).bound == 90
    assert parse([], KINDS).kinds == tuple(KINDS)
