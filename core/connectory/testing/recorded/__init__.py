"""Recorded calls: made, cleaned, kept, and replayed strictly."""
