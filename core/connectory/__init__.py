"""Connectory: one YAML file a vendor, and from it Python calls, commands and syncs."""

__version__ = "0.1.0"
