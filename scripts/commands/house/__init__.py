"""The code behind `scripts/house`: this repository's code in numbers, read with `ast` only.

    source       the modules of some folders, and what is defined and imported in them
    counts       files, lines, functions: one row of the table
    circles      modules that import each other in a circle
    expressions  dotted names, members of unions, possible values
    types        what a name, an attribute or a call is, by imports and annotations
    walk         the functions that a function calls, in order, and the modules they are in
    docstrings   docstrings drawn by lot, next to the texts of another checkout
    cli          the command line, and what it prints

Nothing of the code that is counted is imported or run, so another checkout can be counted too.
"""
