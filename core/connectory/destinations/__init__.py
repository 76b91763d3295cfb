"""Where records go: each kind of destination is one module."""
