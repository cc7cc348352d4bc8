"""One package per command of `scripts/`, called like it: `scripts/bench` runs `commands.bench.cli`.

    serve         starts server and proxy, prints a curl line
    bench         measures a running server, checks every byte
    bench_peers   measures Rowcast and other servers in turns
    chaos         breaks servers, checks every byte
    abuse         sends costly requests, measures their effect on others
    replay        recomputes a reply from its receipt
    models        lists, loads and unloads a server's models
    house         counts this repository's code

What several commands share is next to this folder: `local` (processes, ports and facts of this
machine, a server of our own) and `http_client` (responses and events, strictly parsed). Nothing
here imports the server.
"""
