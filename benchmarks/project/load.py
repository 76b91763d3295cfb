"""Load and check a spec of many operations: `python load.py`"""

from pathlib import Path

from connectory.plugins.registry import load_registry
from connectory.spec.load import load_spec

assert load_spec(load_registry(Path.cwd()), "large").spec.operations
