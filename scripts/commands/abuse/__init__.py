"""The code behind `scripts/abuse`: the effect of one team's costly but legal requests on another.

    attacks/       what is sent: shots, and kinds of attack drawn from seeded dice
    delivery/      sends an attack from a separate process
    target/        the server under test: its teams, its processes, its memory
    measurement/   another team's stream during an attack; what the attack cost it
    report         Markdown and JSON
    options, cli   the command line, the order of steps, the exit status

Sender and watcher are separate processes, so that neither delays the other. Imports nothing of
rowcast.
"""
