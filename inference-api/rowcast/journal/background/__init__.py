"""Background requests in the journal's file: accepted, taken by one process, ended once.

table     all operations on them
queue     which ones a process takes next
record    one request
schema    the tables in the file
"""
