"""The threads of one kernel, as others borrow them: two crews would contend for the same cores."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threads:
    """A kernel's thread crew, and its size including the caller."""

    count: int
    share: int  # address of its `share(crew, job, context, items, grain)`
    crew: int
