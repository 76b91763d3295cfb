"""A recipe's `change`: SQL by DuckDB over chunks or over all rows, its checks and its examples."""
