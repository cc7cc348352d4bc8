"""The benches of linear layers and of the lean decoder: every row of their tables, with figures.

Covers `linear_bench`, `llama_bench`.
"""

from collections.abc import Mapping
from functools import partial

import pytest
import torch

from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.measuring import linear_bench, llama_bench

INT8 = {"int8": torch.bfloat16}


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
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        monkeypatch.delitem(linear_bench.DTYPE, "bf16")  # torch has no packed weights of it here
    linear_bench.print_table()
    title, _, _, *lines = capsys.readouterr().out.splitlines()
    assert title.endswith(": [tokens, 64] x [64, 64], 2 weights")
    rows = [[cell.split() for cell in line.split("|")] for line in lines]
    assert [row[0] for row in rows] == [
        [kind, str(tokens)] for kind in linear_bench.DTYPE for tokens in (1, 4)
    ]
    # Kernel and torch, except for int8, which torch does not compute; each with four figures.
    assert [[len(cells) for cells in row[1:]] for row in rows] == [
        [4] if row[0][0] == "int8" else [4, 4] for row in rows
    ]


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
