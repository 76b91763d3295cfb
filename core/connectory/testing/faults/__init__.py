"""The faults that a spec implies, played by the mock, and what must follow."""
