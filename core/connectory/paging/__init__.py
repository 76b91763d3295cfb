"""Pages: how the next one is asked for, and the walk that refuses to go in circles."""
