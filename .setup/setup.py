"""Make .venv hold exactly what requirements/{run,dev}.txt pin, and the project itself; do nothing when it already does.

Only the standard library and pip are needed, and nothing outside the checkout is written. `venv --without-pip` and
`pip --target` are the two that work everywhere: Debian's Python lacks ensurepip and refuses to install into itself
(PEP 668). pip, and not a quicker installer, because it alone reads the user's pip.conf and PIP_* (mirrors, proxies).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
EVERYTHING = {"run": ["run"], "dev": ["run", "dev"]}


def main(kind: str) -> None:
    """Set up for `kind` (run, dev); every message goes to stderr, since stdout belongs to the job that follows."""
    if is_ready(kind):
        return
    with open(__file__, "r+b") as this_file:
        fcntl.flock(this_file, fcntl.LOCK_EX)  # another ./run or ./test in this checkout may be at it
        if not is_ready(kind):
            set_up(kind)


def set_up(kind: str) -> None:
    began = time.monotonic()
    if not is_stamped("run", requirements_mark("run")) or is_stale(kind):
        make_environment()
    if not is_stamped(kind, requirements_mark(kind)):
        install(f"what requirements/{kind}.txt pins", "--require-hashes", "--requirement", f"requirements/{kind}.txt")
        for each in EVERYTHING[kind]:
            stamp(each, requirements_mark(each))
    install("the project, editable", "--no-index", "--no-deps", "--no-build-isolation", "--editable", ".")
    stamp("project", project_mark())
    say(f"ready after {time.monotonic() - began:.0f} s")


def make_environment() -> None:
    """An empty environment with pip in it, whatever the Python at hand lacks."""
    python = base_python()
    say(f"making .venv with {python} ({sys.version.split()[0]})")
    run(python, "-m", "venv", "--without-pip", "--clear", str(VENV))
    scheme = {"base": str(VENV), "platbase": str(VENV)}
    packages = sysconfig.get_path("purelib", scheme="venv", vars=scheme)
    requirement = ("--require-hashes", "--requirement", "requirements/pip.txt")
    run(python, "-m", "pip", "install", "--quiet", *requirement, "--target", packages)


def install(what: str, *arguments: str) -> None:
    say(f"installing {what}")
    run(str(VENV / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", *arguments)


def run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_PREFIX")}
    environment |= {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",  # the cache lies outside the checkout
        "PIP_NO_INPUT": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_USER": "0",
    }
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=sys.stderr)


def base_python() -> str:
    """The Python to build on; never that of the environment which is about to be replaced."""
    return getattr(sys, "_base_executable", sys.executable) if Path(sys.prefix) == VENV else sys.executable


def is_ready(kind: str) -> bool:
    return is_stamped(kind, requirements_mark(kind)) and is_stamped("project", project_mark())


def requirements_mark(kind: str) -> str:
    """Changes with the pins, with the Python below, and when the checkout is moved (scripts hold its path)."""
    pins = [(REQUIREMENTS / f"{name}.txt").read_bytes() for name in ["pip", *EVERYTHING[kind]]]
    return digest(str(ROOT), sys.base_prefix, str(sys.version_info[:2]), *pins)


def project_mark() -> str:
    """Changes with what an editable install writes down: version, dependencies, scripts, entry points, folders."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    written = [pyproject["build-system"], pyproject["project"], pyproject["tool"]["hatch"]]
    return digest(json.dumps(written), (ROOT / pyproject["tool"]["hatch"]["version"]["path"]).read_bytes())


def digest(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return whole.hexdigest()


def is_stamped(name: str, mark: str) -> bool:
    place = VENV / f".{name}-ready"
    return (VENV / "bin" / "python").exists() and place.is_file() and place.read_text(encoding="ascii") == mark


def is_stale(kind: str) -> bool:
    """Set up once, for other pins: what those installed and these do not name would stay."""
    return (VENV / f".{kind}-ready").exists() and not is_stamped(kind, requirements_mark(kind))


def stamp(name: str, mark: str) -> None:
    (VENV / f".{name}-ready").write_text(mark, encoding="ascii")


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(f"setup: stopped, since this failed: {' '.join(map(str, error.cmd))}")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; the next start takes it up again")
    except OSError as error:
        sys.exit(f"setup: stopped: {error}")
