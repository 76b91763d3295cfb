"""Declared types at work: what a value must look like, how it is written on the wire and read back."""
