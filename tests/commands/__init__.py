"""The commands, run as users run them, against vendors on loopback."""
