"""Behind `scripts/replay`: a receipt read, asked of a server again, and compared.

    receipt    a file ▶ what was asked, and what is told of each reply
    server     what was asked ▶ a fresh receipt, or why there is none
    verdict    two receipts ▶ equal, or where they part
    cli        what the user reads, and the exit status

The server is sent the questions and none of the answers. Imports nothing of it.
"""
