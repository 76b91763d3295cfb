"""How requests prove themselves: tokens and where credentials go."""
