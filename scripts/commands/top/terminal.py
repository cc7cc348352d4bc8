"""The terminal while it shows a screen: its size, its keys, and how it was before.

    with Terminal(stdin, stdout) as terminal:
        terminal.show(lines)
        key = terminal.key(seconds)      "" after that time, or when the window was resized

On leaving, whatever the reason, the terminal is as it was.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self, TextIO

ENTER = "\x1b[?1049h\x1b[?25l"  # the other screen, without a cursor
LEAVE = "\x1b[?25h\x1b[?1049l"
HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"


class Terminal:
    """A terminal that shows one screen at a time."""

    def __init__(self, keys: TextIO, output: TextIO) -> None:
        self._keys = keys
        self._output = output
        self._restoring = ExitStack()
        self._resized = -1  # a pipe that a signal writes to

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            self._watch_size(entered)
            entered.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _end))
            if self._keys.isatty():
                number = self._keys.fileno()
                before = termios.tcgetattr(number)
                entered.callback(termios.tcsetattr, number, termios.TCSADRAIN, before)
                tty.setcbreak(number)
            self._write(ENTER)
            entered.callback(self._write, LEAVE)
            self._restoring = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restoring.close()

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines."""
        return os.get_terminal_size(self._output.fileno())

    def show(self, lines: list[str]) -> None:
        """Show these lines instead of the last ones, without a flicker."""
        shown = f"{REST_OF_LINE}\r\n".join(lines)
        self._write(f"{HOME}{shown}{REST_OF_LINE}{REST}")

    def key(self, seconds: float) -> str:
        """Return a key that was pressed within this time; "" if none was, or after a resize."""
        keys = self._keys.fileno() if self._keys.isatty() else self._resized
        ready, _, _ = select.select({self._resized, keys}, [], [], seconds)
        if self._resized in ready:
            os.read(self._resized, 4096)
            return ""
        return (os.read(keys, 1).decode(errors="replace") or "q") if ready else ""

    def _watch_size(self, entered: ExitStack) -> None:
        """Let `key` return when the window is resized."""
        self._resized, wakeup = os.pipe()
        for end in (self._resized, wakeup):
            entered.callback(os.close, end)
            os.set_blocking(end, False)
        handler = signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
        entered.callback(signal.signal, signal.SIGWINCH, handler)
        entered.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wakeup))

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM: leave through every `finally`."""
    sys.exit(0)
