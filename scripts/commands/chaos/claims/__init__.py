"""The claims, in the order of the table: one file each, and one line here.

processes    a process of the server is killed, hung, stopped or replaced
models       models are loaded, unloaded and replaced
clients      clients that vanish, crawl, or are too many
resources    a full disk, no descriptors, a moved clock, thousands of requests
"""

from __future__ import annotations

from commands.chaos.claim import Claim
from commands.chaos.claims.clients import (
    company,
    overload,
    prefixes,
    slow_clients,
    vanished_clients,
)
from commands.chaos.claims.models import alternate, kills, lazy, swap, unload_race
from commands.chaos.claims.processes import (
    decoder_kills,
    hung_decoder,
    reloads,
    responses,
    server_kills,
    stops,
    tasks,
    worker_kills,
)
from commands.chaos.claims.resources import clock, descriptors, full_disk, soak

CLAIMS: dict[str, Claim] = {
    each.name: each
    for each in (
        decoder_kills.CLAIM,
        worker_kills.CLAIM,
        server_kills.CLAIM,
        tasks.CLAIM,
        stops.CLAIM,
        reloads.CLAIM,
        responses.CLAIM,
        vanished_clients.CLAIM,
        slow_clients.CLAIM,
        hung_decoder.CLAIM,
        full_disk.CLAIM,
        descriptors.CLAIM,
        clock.CLAIM,
        soak.CLAIM,
        company.CLAIM,
        prefixes.CLAIM,
        overload.CLAIM,
        alternate.CLAIM,
        unload_race.CLAIM,
        swap.CLAIM,
        kills.CLAIM,
        lazy.CLAIM,
    )
}
