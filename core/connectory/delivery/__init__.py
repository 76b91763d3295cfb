"""Items to the vendor: checked, cut into calls, and each one accounted for."""
