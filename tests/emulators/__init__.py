"""Vendors on loopback: real HTTP servers written from the vendors' own documentation, never from our specs."""
