"""Models are loaded, unloaded and replaced while requests arrive, and processes are killed."""
