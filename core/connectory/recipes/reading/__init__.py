"""A vendor's list as a source: pages, details, marks, and places that another process goes on from."""
