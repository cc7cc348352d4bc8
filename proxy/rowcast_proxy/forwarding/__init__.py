"""A request on its way to the server, and the answer on its way back."""
