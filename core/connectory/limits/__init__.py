"""Limits: what a vendor allows, and the ledger that all threads and processes of a user spend from."""
