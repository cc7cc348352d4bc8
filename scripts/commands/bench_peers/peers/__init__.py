"""The servers that `scripts/bench_peers` can measure, by name: one file each, one line here.

A file defines how its server is installed, how the model is converted for it, and how it is
started, with the settings that serve it best in this comparison. README.md explains it for people;
`programs/` runs in the peers' own environments. None of the peers' code is stored here.
"""

from __future__ import annotations

from commands.bench_peers.peer import Peer
from commands.bench_peers.peers.flask_generate import FlaskGenerate
from commands.bench_peers.peers.llama_server import LlamaServer
from commands.bench_peers.peers.openvino_genai import OpenVINO
from commands.bench_peers.peers.rowcast import Rowcast
from commands.bench_peers.peers.transformers_serve import TransformersServe
from commands.bench_peers.peers.vllm_cpu import VLLM

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Rowcast(),
        LlamaServer(),
        OpenVINO(),
        VLLM(),
        TransformersServe(),
        FlaskGenerate(),
    )
}
