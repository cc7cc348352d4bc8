"""The price command: both tables are complete, and the prices are correct."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine.tiny_models import save
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.measuring import price


def table(lines: list[str], title: str) -> list[list[str]]:
    """Return the cells of the table below a title, without its header."""
    start = next(at for at, line in enumerate(lines) if title in line) + 4
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def ran_in(*seconds: float) -> Callable[[price.Run], float]:
    """Return a `median` that runs what it is given once, and returns these seconds in turn."""
    times = itertools.cycle(seconds)

    def median(run: price.Run) -> float:
        run()
        return next(times)

    return median


def test_a_median_is_of_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price, "SECONDS", 0.0)
    runs: list[None] = []
    assert price.median(lambda: runs.append(None)) > 0
    assert len(runs) == price.LEAST + 1


@pytest.mark.parametrize(("theirs", "ours", "saved"), [(0.001, 0.003, 0.002), (0.003, 0.001, 0)])
def test_only_products_that_are_slower_than_torchs_would_save_time(
    monkeypatch: pytest.MonkeyPatch, theirs: float, ours: float, saved: float
) -> None:
    kernel = choose_linear(1)
    if kernel is None:
        pytest.skip("the linear kernel is not fast here")
    for name, value in {"THREADS": 1, "PAUSE": 0.0, "median": ran_in(theirs, ours)}.items():
        monkeypatch.setattr(price, name, value)
    layers = [kernel.pack([torch.randn(32, 64)], "fp32") for _ in range(2)]
    assert price.savings(kernel, layers, 4) == pytest.approx(saved)


def test_both_tables_are_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if choose_linear(1) is None:
        pytest.skip("the linear kernel is not fast here")
    for name, value in {"THREADS": 1, "PAUSE": 0.0, "median": ran_in(0.001)}.items():
        monkeypatch.setattr(price, name, value)
    price.print_price([str(save("llama", tmp_path)), "float32"])
    lines = capsys.readouterr().out.splitlines()
    llama, modules = table(lines, "float32, llama"), table(lines, "modules over oneDNN")
    assert [row[0] for row in llama] == [str(each) for each in price.TOKENS]
    assert all(int(free) == int(pure) > 0 for _, pure, free, _ in llama)
    assert [row[0] for row in modules] == [str(each) for each in price.FILLED_UP]
    assert all(int(width) >= int(rows) for rows, width, *_ in modules)


def test_a_price_is_what_a_step_takes_longer() -> None:
    assert price._row("8 | 8", 8, pure=0.2, free=0.16) == "| 8 | 8 | 40 | 50 | 25.0% |"
