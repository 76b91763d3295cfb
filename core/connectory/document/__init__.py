"""The pages in docs/ that are made from the program's own classes, so that they say what it does."""
