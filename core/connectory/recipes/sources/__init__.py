"""Sources of recipes that are no vendor: files, queries on databases, and standard input."""
