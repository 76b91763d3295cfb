"""Vendors that are not shipped: a spec each, and a server that behaves as the vendor's documentation says."""
