"""A server made from a spec alone: what the spec says of a vendor, played from the other side."""

from connectory.mock.faults import Fault, parse_fault
from connectory.mock.server import MockServer

__all__ = ["Fault", "MockServer", "parse_fault"]
