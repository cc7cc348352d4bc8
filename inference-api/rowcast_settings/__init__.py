"""Tables of settings, each setting a variable and a flag: for the server and for the proxy.

    kinds        what a value may be, as the text of a variable or as a value of JSON
    compounds    kinds that are made of other kinds
    secret       texts that are never shown
    fields       a field, and the frozen values of a table of fields
    flags        the command line; imported only if there is one

Each program has its own table, and decides where the values come from. Knows neither program, and
imports only the standard library, so that a process starts fast.
"""
