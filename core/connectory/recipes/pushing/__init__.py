"""A vendor's write operation as a destination: every row delivered, or held back with its reason."""
