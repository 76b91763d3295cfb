"""Vendors, operations and their parts in plain text: what `connectory show` and `help()` print."""

from __future__ import annotations

from connectory.describe.operations import describe_plan
from connectory.describe.vendors import describe_strategy, describe_vendor, plan_of

__all__ = ["describe_plan", "describe_strategy", "describe_vendor", "plan_of"]
