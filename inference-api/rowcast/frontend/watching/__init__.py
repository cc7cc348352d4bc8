"""The rows of all models, watched while somebody reads them."""
