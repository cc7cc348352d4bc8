"""Files in the journal's file, and batches: uploaded files whose lines are background requests."""
