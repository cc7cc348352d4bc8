"""A packed model as an image: a file that is mapped, or bytes from another process."""
