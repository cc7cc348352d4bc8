"""The threads of one kernel, as others borrow them: two pools would contend for the same cores."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threads:
    """A kernel's thread pool, and its size including the caller."""

    count: int
    share: int  # address of its `share(pool, job, context, items, grain)`
    pool: int
