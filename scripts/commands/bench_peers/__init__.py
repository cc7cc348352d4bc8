"""The machinery of `scripts/bench_peers`: one model, many servers, one load generator.

    options, cli       the command line, the order of steps, the exit status
    shapes, model      the model of random weights that all serve
    peer               what a server must declare to be measured
    installation       where a peer is installed
    service, usage     one running server, one burst at it; its memory and CPU time
    rounds, scores     the order of measurement; medians and ratios
    report             table and JSON
    peers/             the peers: one module each

Drives the load with `bench`.
"""
