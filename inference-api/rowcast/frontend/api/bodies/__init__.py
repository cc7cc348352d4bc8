"""Request bodies with the parameters that all dialects of chat share, checked and parsed."""
