"""YAML text to frozen specs: reading, the language, its types and expressions, and all checks."""
