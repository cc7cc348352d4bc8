"""A program's table of settings, each a variable and a flag: of the server, and of the proxy.

    kinds    what a value has to be, as a text of a variable or as a value of JSON
    fields   a field, and the frozen values of a table of fields
    flags    the command line; imported only if there is one

Each program has its table and says where values come from. Knows neither of the two: only the
standard library, so that a process starts fast.
"""
