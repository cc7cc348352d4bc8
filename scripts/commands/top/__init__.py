"""The code behind `scripts/top`: the rows of a running server, in a terminal.

    report     the answer of GET /v1/rows ▶ a `Report` of models and their rows
    screen     a report, or why there is none ▶ lines that fit a terminal
    terminal   the terminal: its size, its keys, and how it was before
    cli        the command line, the loop and the exit status

Imports nothing of the server, and no package but the standard library.
"""
