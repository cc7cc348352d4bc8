"""The machinery of `scripts/bench_peers`: one model, many servers, one load generator.

Read in this order: `options` (the command line) > `shapes` and `model` (the model that all serve) >
`peer` (what a server must declare) > `place` (where a peer is installed) > `service` (one running
server, and one burst at it) > `processes` (its memory and CPU time) > `rounds` (the order of
measurement) > `scores` (medians and ratios) > `told` (table and JSON) > `cli`. It drives the load
with `load`, and knows no peer: those are in `peers`.
"""
