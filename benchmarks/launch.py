"""Run one program and write what it took: `python -I -S launch.py REPORT PROGRAM...`.

A process of its own, and small: the kernel counts the peak memory of whoever starts a program as that program's own,
so what measures must be smaller than anything it measures. The report is `cpu` seconds (user and system, with all
children that were waited for), `wall` seconds and `peak` bytes of memory.
"""

import os
import sys
import time


def main(report: str, *program: str) -> int:
    """The program's exit code."""
    began = time.monotonic()
    process = os.fork()
    if not process:
        os.execvp(program[0], program)
    _, status, used = os.wait4(process, 0)
    wall = time.monotonic() - began
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open(report, "w") as file:
        file.write(f'{{"cpu": {used.ru_utime + used.ru_stime}, "wall": {wall}, "peak": {peak}}}')
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
