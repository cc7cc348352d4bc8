"""The code behind `scripts/models`: lists, loads and unloads the models of a running server.

    listed     the server's list ▶ a `Model` per model
    columns    models ▶ lines of a terminal
    by_hand    load or unload a model ▶ the model afterwards
    cli        the command line, its output and exit status

Imports nothing of the server; a file of models is checked by a program of its own.
"""
