"""The code behind `scripts/abuse`: the effect of one team's costly but legal requests on another.

    shot         one request as a value: its bytes, and how it is delivered; an attack is several
    draw         what attacks are drawn from: seeded dice, facts of the server, awkward texts
    kinds/       one function per kind of attack, registered in one table
    delivery     the targets of an attack, and its answers; starts a sender
    sender       a program: delivers one attack
    watcher      a program: another team's stream, short requests and health checks, timestamped
    witness      starts a watcher; the figures of any interval
    parts        the processes of a server: their roles and their memory
    stand        the server under test: its teams, its memory, its processes
    trial        one attack on a stand, from calm to calm: figures, harm
    table        the rows of the table of known attacks
    report       Markdown and JSON
    options, cli the command line, the order of steps, the exit status

Sender and watcher are separate processes, so that neither delays the other. Imports nothing of
rowcast.
"""
