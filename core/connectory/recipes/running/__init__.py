"""A recipe's run from the outside: alone, recorded, stopped in order, and going on when a limit comes back."""
