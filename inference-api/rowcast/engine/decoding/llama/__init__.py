"""Models of the Llama form: a step in two calls of C."""
