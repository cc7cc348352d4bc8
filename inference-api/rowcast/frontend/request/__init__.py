"""The content of a request: caller, parameters and limits. Knows no dialect."""
