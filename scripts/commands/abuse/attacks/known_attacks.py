"""The table of known attacks: its rows, in order, and each row's kinds."""

from __future__ import annotations

ROWS: dict[str, tuple[str, ...]] = {
    "C1": ("c1-ref-chain", "c1-lark-chain"),
    "C2": ("c2-detokenize", "c2-echo", "c2-echo-many"),
    "C3": ("c3-optional", "c3-optional-choices"),
    "H1": ("h1-digits", "h1-six-digits"),
    "H2": ("h2-prompts-short", "h2-prompts-long"),
    "H3": ("h3-choices", "h3-streams"),
    "H4": ("h4-multiple-of",),
    "H5": ("h5-stops",),
    "H6": ("h6-open-bodies",),
    "H7": ("h7-logprobs", "h7-echo-scores"),
    "H8": ("h8-alternatives",),
    "M1": ("m1-followers", "m1-follower-answers"),
    "M2": ("m2-padded",),
    "M3": ("m3-texts",),
    "M7": ("m7-idle",),
    "M8": (
        "m8-nested-body",
        "m8-nested-schema",
        "m8-nested-arguments",
        "m8-string-schema",
        "m8-nested-metadata",
        "m8-nested-chat-template-kwargs",
    ),
    "L": ("l-empty-messages",),
}

KINDS = tuple(kind for kinds in ROWS.values() for kind in kinds)


def row_of(kind: str) -> str:
    """Return the row that a kind belongs to; "" for kinds of the hunt alone."""
    return next((row for row, kinds in ROWS.items() if kind in kinds), "")
