"""`stand`: the server under test and its facts. `roles`: its processes by role, their memory."""
