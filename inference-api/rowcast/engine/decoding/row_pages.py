"""The memory of a row cache on a CPU: pages that rows take when they write, and give back.

    tensor   [rows, heads, context, size]; each head's positions begin with a page of their own
    trim     gives whole pages beyond a position of a row back to the system

A page takes memory once it is written; after `trim` it reads as zeros and takes none. Where the
system makes huge pages of all memory, only whole ones are given back, since the rest of a divided
one would be slower. `sparse` memory has none: there, a row's memory grows by `grain` tokens.
"""

import contextlib
import mmap
from pathlib import Path

import torch
from torch import Tensor

HUGE = 2 << 20
_RESERVES_NOTHING = 0x4000  # MAP_NORESERVE, which Python 3.11 does not name
_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _RESERVES_NOTHING


def grain(token_bytes: int) -> int:
    """Return how many tokens of one head share a page."""
    return -(-mmap.PAGESIZE // token_bytes)


class Pages:
    """The memory of one tensor of all rows."""

    def __init__(
        self, rows: int, heads: int, context: int, size: int, dtype: torch.dtype, *, sparse: bool
    ) -> None:
        self._heads = heads
        self._token = size * dtype.itemsize
        self._head = _up(context * self._token, mmap.PAGESIZE)
        self._memory = mmap.mmap(-1, max(1, rows * heads * self._head), flags=_FLAGS)
        if sparse:
            with contextlib.suppress(OSError):  # a system that has no huge pages
                self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        self._whole = HUGE if not sparse and huge_everywhere() else mmap.PAGESIZE
        flat = torch.frombuffer(self._memory, dtype=dtype)
        head = self._head // dtype.itemsize
        strides = (heads * head, head, size, 1)
        self.tensor: Tensor = flat.as_strided((rows, heads, context, size), strides)
        self._address = flat.data_ptr()

    def trim(self, row: int, length: int) -> None:
        """Give back what lies beyond the first `length` tokens of a row."""
        begin = row * self._heads * self._head
        if not length:
            self._give_back(begin, begin + self._heads * self._head)
            return
        for start in range(begin, begin + self._heads * self._head, self._head):
            self._give_back(start + length * self._token, start + self._head)

    def _give_back(self, begin: int, end: int) -> None:
        """Give back the whole pages between two offsets."""
        first = _up(self._address + begin, self._whole) - self._address
        last = (self._address + end) // self._whole * self._whole - self._address
        if first < last:
            self._memory.madvise(mmap.MADV_DONTNEED, first, last - first)


def huge_everywhere(
    policy: Path = Path("/sys/kernel/mm/transparent_hugepage/enabled"),
) -> bool:
    """True if the system makes huge pages of memory that did not request them."""
    try:
        return "[always]" in policy.read_text()
    except OSError:
        return False


def _up(number: int, to: int) -> int:
    return -(-number // to) * to
