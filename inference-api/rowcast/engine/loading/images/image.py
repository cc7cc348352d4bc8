"""An image: the named parts of a model in the kernels' layout, and their metadata, in one file.

    ImageWriter(file).add(name, part)….finish(about)
    open_image(path) · receive_image(pipe, …)      ──▶ Image: `parts()`, `about`

    in the file: parts, each aligned to a page; index; its checksum and size; a mark

A file is mapped, so that servers share it; an image from a pipe is held in memory of this process.
An incomplete or damaged image is refused. Knows nothing of what parts mean.
"""

import ctypes
import mmap
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import torch
from torch import Tensor

from rowcast.engine.kernels.packed_weight import Kind, Packed, packed_of
from rowcast.errors import RowcastError

MARK = b"rowcast image 2\n"
ALIGNMENT = 4096
NUMBER_SIZE = 8
TAIL = 2 * NUMBER_SIZE + len(MARK)
HUGE_PAGE = 1 << 21
PIECE = 1 << 20


class BadImage(RowcastError):
    """The image is missing, incomplete, damaged, or of another build."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's bytes are."""

    offset: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One part: a tensor, or the lines of a packed weight and the tensors that accompany them."""

    places: tuple[Place, ...]
    kind: Kind | None = None
    outputs: int = 0
    inputs: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """The contents of an image."""

    about: Mapping[str, Any]
    entries: Mapping[str, Entry]


class ImageWriter:
    """Writes parts one after the other, each immediately."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 0
        self._checksum = 0
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, part: Packed | Tensor) -> None:
        if isinstance(part, Tensor):
            self._entries[name] = Entry((self._store(part),))
            return
        places = tuple(self._store(each) for each in (part.lines, *part.beside))
        self._entries[name] = Entry(places, part.kind, part.outputs, part.inputs)

    def finish(self, about: Mapping[str, Any]) -> None:
        index = msgspec.json.encode(Index(about, self._entries))
        self._write(index)
        self._file.write(_number(self._checksum) + _number(len(index)) + MARK)
        self._file.flush()

    def _store(self, tensor: Tensor) -> Place:
        self._write(bytes(-self._size % ALIGNMENT))
        place = Place(self._size, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))
        if tensor.numel():
            size = tensor.numel() * tensor.itemsize
            tensor = tensor.contiguous()  # keeps its memory alive while it is written
            self._write(memoryview((ctypes.c_ubyte * size).from_address(tensor.data_ptr())))
        return place

    def _write(self, content: bytes | memoryview) -> None:
        self._checksum = zlib.crc32(content, self._checksum)
        self._file.write(content)
        self._size += len(content)


class Image:
    """A whole image in memory. Its parts are views of that memory."""

    def __init__(self, name: str, memory: mmap.mmap, start: int, size: int) -> None:
        self.name, self._memory, self._start, self.size = name, memory, start, size
        self._index = self._read_index()

    @property
    def about(self) -> Mapping[str, Any]:
        return self._index.about

    def parts(self) -> dict[str, Packed | Tensor]:
        return {name: self._part(entry) for name, entry in self._index.entries.items()}

    def verified(self) -> Self:
        """Return itself if the checksum of all bytes is right; otherwise raise BadImage."""
        with memoryview(self._memory) as memory:
            end = self._start + self.size - TAIL
            found = _number(zlib.crc32(memory[self._start : end]))
            if found != memory[end : end + NUMBER_SIZE]:
                raise BadImage(f"{self.name} is damaged: save it again with SAVE_IMAGE=1")
        return self

    def _read_index(self) -> Index:
        end = self._start + self.size
        if self.size < TAIL or self._memory[end - len(MARK) : end] != MARK:
            raise BadImage(f"{self.name} is not a complete image: save it again with SAVE_IMAGE=1")
        number = self._memory[end - len(MARK) - NUMBER_SIZE : end - len(MARK)]
        length = int.from_bytes(number, "little")
        at = end - TAIL - length
        if at < self._start:
            raise BadImage(f"{self.name} is damaged: save it again with SAVE_IMAGE=1")
        try:
            return msgspec.json.decode(self._memory[at : at + length], type=Index)
        except msgspec.DecodeError as error:
            raise BadImage(f"{self.name} is damaged: save it again with SAVE_IMAGE=1") from error

    def _part(self, entry: Entry) -> Packed | Tensor:
        tensors = [self._tensor(place) for place in entry.places]
        if entry.kind is None:
            return tensors[0]
        lines, *beside = tensors
        return packed_of(entry.kind, entry.outputs, entry.inputs, lines, beside)

    def _tensor(self, place: Place) -> Tensor:
        dtype: torch.dtype = getattr(torch, place.dtype)
        count = 1
        for length in place.shape:
            count *= length
        if not count:
            return torch.empty(place.shape, dtype=dtype)
        offset = self._start + place.offset
        flat = torch.frombuffer(self._memory, dtype=dtype, count=count, offset=offset)
        return flat.view(place.shape)


def open_image(path: Path) -> Image:
    """Map a file's image; private, so that nothing here can write to the file."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise BadImage(f"{path} is empty: save it again with SAVE_IMAGE=1")
            memory = mmap.mmap(
                file.fileno(),
                size,
                flags=mmap.MAP_PRIVATE,
                prot=mmap.PROT_READ | mmap.PROT_WRITE,
            )
    except OSError as error:
        raise BadImage(f"{path} cannot be read: {error.strerror}") from error
    _advise_huge_pages(memory)
    return Image(str(path), memory, 0, size).verified()


def receive_image(pipe: int, most: int) -> Callable[[], Image]:
    """Read a pipe to its end; return a maker of the image. Only the bytes received use memory."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    memory = mmap.mmap(-1, most + HUGE_PAGE, flags=flags)
    _advise_huge_pages(memory)
    address = torch.frombuffer(memory, dtype=torch.uint8, count=1).data_ptr()
    start = -address % HUGE_PAGE
    size = 0
    with memoryview(memory) as view:
        while piece := os.readv(pipe, [view[start + size : start + min(size + PIECE, most)]]):
            size += piece
    return partial(Image, "the packed model", memory, start, size)


def _number(number: int) -> bytes:
    return number.to_bytes(NUMBER_SIZE, "little")


def _advise_huge_pages(memory: mmap.mmap) -> None:
    """Reduce the processor's TLB misses, if the platform supports it."""
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
