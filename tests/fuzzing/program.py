"""`python -m fuzzing.program TARGET OPTION... CORPUS`: fuzz one for as long as libFuzzer's options say.

atheris guides the bytes by the code that they reach; only the engine's own is watched, or most of the time goes there.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["connectory"]):
    from fuzzing.targets import TARGETS

atheris.Setup(sys.argv[1:], TARGETS[sys.argv[1]])
atheris.Fuzz()
