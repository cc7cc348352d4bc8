"""The benches of linear layers and of the lean decoder: every row of their tables, with figures.

Covers `linear_bench`, `llama_bench`.
"""

from collections.abc import Mapping
from functools import partial

import pytest
import torch

from rowcast.engine.kernels.arithmetic import ARITHMETICS, Arithmetic, ArithmeticUnavailable
from rowcast.engine.kernels.linear import onednn_packs
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.measuring import linear_bench, llama_bench

INT8, BF16 = {"int8": torch.bfloat16}, {"bf16": torch.bfloat16}


def make_small(monkeypatch: pytest.MonkeyPatch, bench: object, sizes: Mapping[str, object]) -> None:
    """Set a bench's sizes. Figures are then without meaning, but complete."""
    for name, value in sizes.items():
        monkeypatch.setattr(bench, name, value)


def test_a_line_for_each_kind_and_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"OUTPUTS": 64, "INPUTS": 64, "LAYERS": 2, "TOKENS": (1, 4)}
    make_small(monkeypatch, linear_bench, {**small, "THREADS": 1, "TURNS": 1, "ROUNDS": 1})
    monkeypatch.setattr(linear_bench, "choose_linear", partial(choose_linear, slow_too=True))
    linear_bench.print_table()
    title, _, _, *lines = capsys.readouterr().out.splitlines()
    assert title.endswith(": [tokens, 64] x [64, 64], 2 weights")
    rows = [[cell.split() for cell in line.split("|")] for line in lines]
    assert [row[0] for row in rows] == [
        [kind, str(tokens)] for kind in linear_bench.DTYPE for tokens in (1, 4)
    ]
    # Kernel and torch, unless torch packs no weights of the kind; each with four figures.
    packs = {"fp32": True, "bf16": onednn_packs(torch.bfloat16), "int8": False}
    assert [[len(cells) for cells in row[1:]] for row in rows] == [
        [4, 4] if packs[row[0][0]] else [4] for row in rows
    ]


def test_what_onednn_does_not_pack_is_measured_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On processors without 512-bit vectors it packs no bf16."""
    small = {"OUTPUTS": 64, "INPUTS": 64, "LAYERS": 2, "TOKENS": (1,), "DTYPE": BF16}
    make_small(monkeypatch, linear_bench, {**small, "THREADS": 1, "TURNS": 1, "ROUNDS": 1})
    monkeypatch.setattr(linear_bench, "onednn_packs", lambda _dtype: False)
    linear_bench.print_table("plain")
    *_, line = capsys.readouterr().out.splitlines()
    assert [len(cell.split()) for cell in line.split("|")] == [2, 4]


def test_an_arithmetic_that_is_refused_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor may have tiles that the system does not permit."""
    small = {"OUTPUTS": 64, "INPUTS": 64, "LAYERS": 2, "TOKENS": (1,), "DTYPE": INT8}
    make_small(monkeypatch, linear_bench, {**small, "THREADS": 1, "TURNS": 1, "ROUNDS": 1})
    monkeypatch.setattr(linear_bench, "choose_arithmetic", refuse_tiles)
    linear_bench.main(["amx", "plain"])
    refused, title, *_ = capsys.readouterr().out.splitlines()
    assert refused == "ARITHMETIC=amx is refused"
    assert title.startswith("plain: ")


def refuse_tiles(name: str) -> Arithmetic:
    if name == "amx":
        raise ArithmeticUnavailable("ARITHMETIC=amx is refused")
    return ARITHMETICS[name]


@pytest.mark.parametrize("warm", [[], ["--warm"]])
def test_a_table_for_each_arithmetic(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, warm: list[str]
) -> None:
    small = {"OUTPUTS": 64, "INPUTS": 64, "LAYERS": 2, "TOKENS": (1,), "DTYPE": INT8}
    make_small(monkeypatch, linear_bench, {**small, "THREADS": 1, "TURNS": 1, "ROUNDS": 1})
    linear_bench.main(["plain", "amx-emulated", *warm])
    titles = [line for line in capsys.readouterr().out.splitlines() if "[tokens," in line]
    assert [title.split(":")[0] for title in titles] == ["plain", "amx-emulated"]
    assert all(title.endswith(" 1 weight" if warm else " 2 weights") for title in titles)


@pytest.mark.slow
def test_a_row_for_each_shape_position_and_number_of_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"ROWS": (1, 2), "POSITIONS": (3,), "CONTEXT": 16, "LEAST": 1, "THREADS": 1}
    shape = llama_bench.Shape("tiny", 128, 96, 1, 64)
    make_small(monkeypatch, llama_bench, {**sizes, "SHAPES": (shape,), "SECONDS": 0.0, "PAUSE": 0})
    llama_bench.print_table()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("| tiny")
    ]
    assert [row[:3] for row in rows] == [["tiny", "3", "1"], ["tiny", "3", "2"]]
    assert all(float(figure) > 0 for row in rows for figure in row[3:])
