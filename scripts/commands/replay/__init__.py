"""The code behind `scripts/replay`: a receipt is read, recomputed by a server, and compared.

    receipt    a file ▶ the question, and the record of each reply
    server     the question ▶ a fresh receipt, or why there is none
    verdict    two receipts ▶ equal, or where they differ
    cli        what the user reads, and the exit status

The server is sent the questions and none of the answers. Imports nothing of it.
"""
