"""One dialect of HTTP a module: body to `Prompt`, pieces to chunks. `DIALECTS` registers them."""
