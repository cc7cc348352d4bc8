"""What a model, a precision and a kernel cost on the machine at hand."""
