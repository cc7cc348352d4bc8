"""The costs of a model, a precision and a kernel on this machine."""
