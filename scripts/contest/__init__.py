"""The machinery of `scripts/bench_peers`: one model, many servers, one load generator.

Read in this order: `options` (what is asked) > `shapes` and `model` (the model that all serve) >
`peer` (what a server must tell of itself) > `place` (where a peer is installed) > `service` (one
running server, and one burst at it) > `processes` (its memory and CPU time) > `rounds` (who is
measured when) > `scores` (medians and ratios) > `told` (table and JSON) > `cli`.
It drives the load with `load`, and knows no peer: those stand in `peers`.
"""
