"""Requests out, responses in: the only package that imports urllib3."""
