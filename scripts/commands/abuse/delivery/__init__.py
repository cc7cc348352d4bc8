"""`plan`: where an attack goes, and its answers; starts `sender`, a program that delivers it."""
