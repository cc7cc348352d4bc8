"""Which builds are loaded: `fleet` decides; it has no process, socket or clock of its own.

roster       which builds there are, and which has each name      member   one of them
launchers    what their launchers do                              room     memory
outbox       what is sent, in order                               actions  what it consists of
"""
