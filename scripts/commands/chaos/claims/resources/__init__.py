"""A full disk, no descriptors, a moved clock, memory after thousands of requests."""
