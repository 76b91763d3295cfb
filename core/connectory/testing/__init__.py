"""Tests that a spec brings with it: recorded conversations, faults, and the proof that they notice mistakes."""
