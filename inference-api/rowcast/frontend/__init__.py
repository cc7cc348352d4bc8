"""HTTP in, chunks out. Knows text and sessions; never torch, an engine or backend internals."""
