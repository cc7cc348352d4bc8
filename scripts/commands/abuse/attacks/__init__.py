"""What is sent.

shot           one request as a value: its bytes, and how it is delivered; an attack is several
facts          of the served model, to which attacks are tailored
draw           what attacks are drawn from: seeded dice, facts, awkward texts
kind, kinds/   one function per kind of attack, registered in one table
known_attacks  the rows of the table of known attacks
"""
