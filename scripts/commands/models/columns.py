"""Models as lines of a terminal: one line each, in columns, within 80 characters.

    name         state    memory   build         unloads       notes
    storyteller  ready    386 MiB  5f2c90aa13de  never         also falcon40b
    big          loading  4.1 GiB                10 min idle   reading weights

Reasons of failed loads follow below, in full.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from commands.models.listed import Model

WIDTH = 80
GAP = "  "
HEAD = ("name", "state", "memory", "build", "unloads", "notes")
LONGEST = (24, 9, 8, 12, 11)  # characters; the notes get the rest


def lines_of(models: Sequence[Model]) -> Iterator[str]:
    """Yield the lines of all models, with a head."""
    rows = [HEAD, *map(row, models)]
    widths = [
        min(most, max(map(len, column)))
        for most, column in zip(LONGEST, zip(*rows, strict=True), strict=False)
    ]
    for cells in rows:
        line = GAP.join(
            shortened(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=False)
        )
        yield shortened(f"{line}{GAP}{cells[-1]}".rstrip(), WIDTH)
    yield from (line for each in models for line in reasons_of(each))


def row(model: Model) -> tuple[str, ...]:
    """Return a model's cells."""
    size = model.number("bytes")
    build = model.text("fingerprint")[: LONGEST[3]]
    return model.name, model.state, sized(size) if size else "", build, unloads(model), notes(model)


def notes(model: Model) -> str:
    """Return its stage, its other builds and its other names."""
    parts = (
        model.stage,
        *(f"another build: {each.stage or each.state}" for each in model.others),
        f"also {', '.join(model.aliases)}" if model.aliases else "",
    )
    return "; ".join(part for part in parts if part)


def unloads(model: Model) -> str:
    """Return when the server unloads it on its own."""
    if model.fields.get("keep"):
        return "never"
    seconds = model.number("idle_seconds")
    return f"{duration(seconds)} idle" if seconds else "for room"


def reasons_of(model: Model) -> Iterator[str]:
    """Yield the reasons why loads of its builds failed, as lines."""
    for each in (model, *model.others):
        if each.reason:
            seconds = float(each.status.get("retry_seconds") or 0)
            retry = f" (next try in {duration(seconds)})" if seconds else ""
            text = f"{model.name}: {each.reason}{retry}"
            yield from textwrap.wrap(text, WIDTH, subsequent_indent=GAP, break_on_hyphens=False)


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def sized(size: float) -> str:
    """Return a number of bytes in a suitable unit."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that it fills."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
