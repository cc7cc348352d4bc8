"""The servers that `scripts/bench_peers` can measure, by name: one file each, one line here.

A file defines how its server is installed, how the model is converted for it, and how it is
started, with the settings that serve it best in this comparison. README.md explains it for people;
`programs/` runs in the peers' own environments. None of the peers' code is stored here.
"""

from __future__ import annotations

from contest.peer import Peer
from peers.flask_generate import FlaskGenerate
from peers.llama_server import LlamaServer
from peers.openvino_genai import OpenVINO
from peers.rowcast import Rowcast
from peers.transformers_serve import TransformersServe
from peers.vllm_cpu import VLLM

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
