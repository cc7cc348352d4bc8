"""The load generator behind `scripts/bench`: standard library only, one process, one thread.

    options, cli    the command line, the order of runs, the exit status; progress on a terminal
    load/           what is sent and when: requests, pace, the socket loop, what was received
    dialects/       one module per HTTP dialect: what to post, how to read the answer
    verification/   is every byte right: the scripted engine's rule, and the comparison with it
    results/        how fast was it: figures, comparison of two servers, table, JSON file

Imports nothing of the servers that it measures.
"""
