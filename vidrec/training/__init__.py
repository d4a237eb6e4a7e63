"""Training of a model that is handed in, on a Dataset that is handed in."""
