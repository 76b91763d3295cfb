# Find a Python that will do, and let it set up this checkout. Call: sh .setup/setup.sh run|dev
set -eu
cd -- "$(dirname -- "$0")/.."

# A launcher by that name may exist and yet not work (pyenv's do), so each candidate is run.
# Our own environment goes first: once made, it stays, whatever else is called python3 later.
for python in "${PYTHON:-}" .venv/bin/python python3 python python3.14 python3.13 python3.12 python3.11; do
    [ -n "$python" ] || continue
    if "$python" -c '
import importlib.util, sys
sys.exit(sys.version_info < (3, 11) or importlib.util.find_spec("pip") is None)' >/dev/null 2>&1; then
        exec "$python" .setup/setup.py "$1"
    fi
done

echo "setup: no Python 3.11 or newer with pip was found (tried python3, python, python3.14 to python3.11)." >&2
echo "setup: install one, or name it: PYTHON=/path/to/python3 ./run" >&2
exit 1
