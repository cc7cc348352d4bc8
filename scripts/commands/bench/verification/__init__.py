"""Is every byte right? `byte_checks` compares outcomes with what `scripted_rule` computes."""
