"""Tests made from specs: recorded conversations, replayed below the HTTP client. Installed by the extra `test`."""
