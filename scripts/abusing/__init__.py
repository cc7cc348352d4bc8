"""Behind `scripts/abuse`: what one team's costly but legal requests do to another team.

    shot         one request as a value: its bytes, and how it is delivered; an attack is several
    draw         what attacks are drawn from: seeded dice, facts of the server, awkward texts
    kinds/       one function a kind of attack, registered in one table
    delivery     where an attack goes, what was answered; starts a sender
    sender       a program: delivers one attack
    watcher      a program: another team's stream, short requests and health checks, timestamped
    witness      starts a watcher; the figures of any stretch of time
    parts        the processes of a server: which is what, the memory that they hold
    stand        the server under test: its teams, its memory, its processes
    trial        one attack on a stand, from calm to calm: figures, harm
    table        the rows of the table of known attacks
    report       Markdown and JSON
    options, cli the command line, the order of things, the exit status

Sender and watcher are processes of their own, so that neither delays the other. Imports nothing of
rowcast.
"""
