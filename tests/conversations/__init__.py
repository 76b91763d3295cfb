"""What is said to the emulated vendors so that it can be recorded: every operation, and how calls go wrong."""
