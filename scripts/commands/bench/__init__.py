"""The load generator behind `scripts/bench`: standard library only, one process, one thread.

Read in this order: `options` (the command line) > `asks` (prompts) > `pace` (when each one starts)
> `driver` (the socket loop) > `exchange` + `http1` + `dialects/` (one request, its answer) >
`outcome` (what was received) > `verify` and `figures` (was it right, how fast was it) > `compare`,
`table`, `report` (the output). `scripted` holds the scripted engine's rule. It imports nothing of
the servers that it measures.
"""
