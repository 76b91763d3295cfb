"""Bytes that nobody would write. What broke something once is kept in corpus/ and tried always."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzing.targets import TARGETS, words_of

CORPUS = Path(__file__).with_name("corpus")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*/*")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_is_kept_is_taken_or_refused(file: Path) -> None:
    TARGETS[file.parent.name](file.read_bytes())


def test_the_corpus_is_small() -> None:
    sizes = [file.stat().st_size for file in CORPUS.glob("*/*")]
    assert len(sizes) <= 60
    assert sum(sizes) <= 60_000


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_break_anything(target: str, tmp_path: Path) -> None:
    """For `FUZZ_SECONDS` each (60). What breaks is left as a file, to be kept in the corpus."""
    pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 only")
    shutil.copytree(CORPUS / target, tmp_path / "corpus")
    (tmp_path / "words").write_text(words_of(target))
    options = ["-max_len=2000", f"-max_total_time={SECONDS}", "-timeout=20", "-rss_limit_mb=3000", "-dict=words"]
    command = [sys.executable, "-m", "fuzzing.program", target, *options, "corpus"]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    broken = [file.read_bytes() for file in tmp_path.glob("*-*") if file.is_file()]
    assert done.returncode == 0, f"{broken}\n{done.stderr[-6000:]}"
    print(next((line for line in reversed(done.stderr.splitlines()) if "DONE" in line), done.stderr[-300:]))
