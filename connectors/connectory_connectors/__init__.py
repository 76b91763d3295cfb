"""The connectors that come with connectory: one module a vendor, each bringing its spec."""
