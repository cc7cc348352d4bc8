"""Files in the journal's file, and batches: uploaded files whose lines are background requests.

files     uploaded files, and those that batches write
table     batches
lines     the lines of the files that batches write
record    one file, one batch
"""
