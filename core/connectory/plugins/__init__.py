"""Plug-ins: what they may supply, the hooks they supply it by, and where they are found."""
