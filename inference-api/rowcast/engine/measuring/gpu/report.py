"""Results as they come: a line of a table for people, a line of JSON for programs.

A result is written as soon as there is one, so that a run that is cut short has its first ones.
What there is no time for is listed, with the time that was left.
"""

import gc
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import torch

Check = Callable[["Report"], None]


class Report:
    """Where results go."""

    def __init__(
        self, device: torch.device, seconds: float, file: Path | None, to: TextIO = sys.stdout
    ) -> None:
        self.device = device
        self.failed = 0
        self._ends = time.monotonic() + seconds
        self._file = file
        self._to = to
        self._began = time.monotonic()
        self._to.write("| second | part | what | result | |\n|---|---|---|---|---|\n")

    @property
    def left(self) -> float:
        """Seconds until no further part begins."""
        return self._ends - time.monotonic()

    def figure(self, part: str, what: str, value: float, unit: str, note: str = "") -> None:
        """Write a number."""
        shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        self._write(part, what, f"{shown} {unit}", note, {"value": value, "unit": unit})

    def verdict(self, part: str, what: str, *, right: bool, note: str = "") -> None:
        """Write whether something is as it must be."""
        self.failed += not right
        self._write(part, what, "right" if right else "WRONG", note, {"right": right})

    def note(self, part: str, what: str, note: str) -> None:
        """Write something that is neither."""
        self._write(part, what, "", note, {})

    def run(self, part: str, needs: float, check: Check) -> None:
        """Run a part, unless less time is left than it needs; report an error, and go on."""
        if self.left < needs:
            self.note(part, "left out", f"{self.left:.0f} s left, it needs {needs:.0f} s")
            return
        try:
            check(self)
        except Exception as error:  # noqa: BLE001  # it is reported, and the next part may run
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.failed += 1
            text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            self._write(part, "FAILED", f"{Path(last.filename).name}:{last.lineno}", text, {})
            traceback.print_exc()
        gc.collect()  # models and engines refer to themselves
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _write(
        self, part: str, what: str, result: str, note: str, values: dict[str, object]
    ) -> None:
        second = time.monotonic() - self._began
        self._to.write(f"| {second:.0f} | {part} | {what} | {result} | {note} |\n")
        self._to.flush()
        if self._file is None:
            return
        line = {"second": round(second, 1), "part": part, "what": what, "note": note, **values}
        if not values:
            line["result"] = result
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")
