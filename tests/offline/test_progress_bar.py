"""The progress bar: on a terminal, by a class such as tqdm, or not at all."""

import io
import sys
from typing import ClassVar

import pytest

from rowcast import LLM, SamplingParams
from rowcast.offline.progress_bar import Bar, Silent, progress


class Terminal(io.StringIO):
    """A standard error that somebody sees."""

    def isatty(self) -> bool:
        return True


class Counting:
    """What tqdm does, as far as it is used."""

    made: ClassVar["list[Counting]"] = []

    def __init__(self, total: int | None, desc: str) -> None:
        self.total, self.desc, self.done, self.closed = total, desc, 0, False
        self.made.append(self)

    def update(self, done: int) -> None:
        self.done += done

    def close(self) -> None:
        self.closed = True


def test_it_shows_only_where_somebody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(progress(True, 3)) is Silent
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(progress(True, 3)) is Bar
    assert type(progress(False, 3)) is Silent


def test_the_last_line_says_what_is_done(llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    llm.generate(["Hello"] * 40, SamplingParams(max_tokens=3))
    last = shown.getvalue().split("\r")[-1]
    assert last.startswith("Rowcast  40/40 prompts  100 %  ")
    assert last.endswith("\n")


def test_a_class_such_as_tqdm_can_take_its_place(llm: LLM) -> None:
    llm.generate(["Hello"] * 4, SamplingParams(max_tokens=3), use_tqdm=Counting)
    (bar,) = Counting.made
    assert (bar.total, bar.done, bar.closed) == (4, 4, True)
