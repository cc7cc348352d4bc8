"""What the commands do on this machine.

child           one child process: start it, end it, show the tail of its log
server          a Rowcast server of our own: its processes by role, its resources, ways to end it
greenlet_count  runs inside such a server and counts its greenlets
processes       families, command lines, memory of processes
ports           free ports
machine         cores and processor for a report; the limit of open files
"""
