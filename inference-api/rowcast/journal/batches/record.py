"""The records of stored files, and of batches: files of requests, computed in the background."""

from dataclasses import dataclass, field
from typing import Literal

BatchPhase = Literal["in_progress", "completed", "failed", "cancelled"]
OUTPUT = "batch_output"  # the purpose of files that batches write


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file, without its content."""

    id: str
    team: str
    purpose: str
    filename: str
    size: int
    created: float
    expires: float = 0.0  # set by the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A file of requests, and what became of them."""

    id: str
    team: str
    endpoint: str
    input_file: str
    window: str
    metadata: bytes = b"null"  # JSON
    errors: bytes = b""  # JSON: why no line of it is computed
    created: float
    total: int
    phase: BatchPhase = "in_progress"
    cancelling: float | None = None  # since when
    ended: float | None = None
    output_file: str = ""
    error_file: str = ""
    completed: int = 0  # while it is in progress: so far
    failed: int = 0
    expires: float | None = None
    bytes: int = field(default=0, repr=False)  # of the results so far
