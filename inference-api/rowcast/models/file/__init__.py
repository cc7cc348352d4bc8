"""The text of a file of models: parsed and checked, each fault with its line.

    located_json    JSON with lines          entry    an Entry per name, and all faults
    keys            what an entry may have   schema   the JSON schema made from the keys
    faults          how faults are shown

Looks at no other file.
"""
