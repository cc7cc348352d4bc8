"""What an attack does to another team.

watcher   a program: that team's stream, short requests and health checks, timestamped
witness   starts a watcher; the figures of any interval
trial     one attack on a stand, from calm to calm: figures, harm
"""
