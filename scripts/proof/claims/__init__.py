"""The claims, in the order of the table: one file each, and one line here."""

from __future__ import annotations

from proof.claim import Claim
from proof.claims import (
    clock,
    company,
    decoder,
    disk,
    files,
    hung,
    overload,
    reloads,
    servers,
    slow,
    soak,
    stops,
    vanishing,
    workers,
)

CLAIMS: dict[str, Claim] = {
    each.name: each
    for each in (
        decoder.CLAIM,
        workers.CLAIM,
        servers.CLAIM,
        stops.CLAIM,
        reloads.CLAIM,
        vanishing.CLAIM,
        slow.CLAIM,
        hung.CLAIM,
        disk.CLAIM,
        files.CLAIM,
        clock.CLAIM,
        soak.CLAIM,
        company.CLAIM,
        overload.CLAIM,
    )
}
