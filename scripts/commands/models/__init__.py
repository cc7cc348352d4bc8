"""The code behind `scripts/models`: what a running server serves, loaded and unloaded by hand.

    listed     the server's list ▶ a `Model` per model
    columns    models ▶ lines of a terminal
    by_hand    load or unload a model ▶ what became of it
    cli        what the user reads, and the exit status

Imports nothing of the server; a file of models is checked by a program of its own.
"""
