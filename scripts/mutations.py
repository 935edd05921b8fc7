"""Apply faults to a copy of the package, one at a time, and show that the named test fails.

The faults stand in ``mutations.toml`` beside this script; to add one is to add an entry. Run it from the root of the
repository:

    python scripts/mutations.py                 # all faults
    python scripts/mutations.py --only absorption
    python scripts/mutations.py --list

A fault whose text is gone, or whose test fails without it, is an error: then nothing is shown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_suffix(".toml")
TESTS_FAILED = 1  # pytest's exit code; others mean that the tests did not run
LIMIT_S = 600


@dataclass(frozen=True)
class Fault:
    """One fault and the test (a file, or one of its tests) that must catch it."""

    name: str
    file: str
    old: str
    new: str
    test: str


def faults() -> list[Fault]:
    """Read the table."""
    return [Fault(**entry) for entry in tomllib.loads(TABLE.read_text(encoding="utf-8"))["fault"]]


def run(source: Path, test: str) -> int:
    """Run a test file on a copy of the package; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=LIMIT_S)
    return done.returncode


def verdict(fault: Fault) -> str:
    """Apply one fault and say what its test did: ``caught``, ``survived``, or what is wrong with the entry."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "crosstalk" / fault.file
        text = path.read_text(encoding="utf-8")
        if text.count(fault.old) != 1:
            return f"error: its text stands {text.count(fault.old)} times in {fault.file}, expected once"
        path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        code = run(source, fault.test)
    if code == TESTS_FAILED:
        return "caught"
    return "survived" if code == 0 else f"error: pytest ended with {code}, the test could not be run"


def main() -> None:
    """Try the faults, print one line for each; exit 1 if one survived or could not be tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="faults whose name or file holds this text")
    parser.add_argument("--list", action="store_true", help="show the faults")
    options = parser.parse_args()
    chosen = [f for f in faults() if options.only in f.name or options.only in f.file]
    if not chosen:
        sys.exit(f"mutations: no fault holds '{options.only}'; --list shows them")
    if options.list:
        print("\n".join(f"{f.name} ({f.file}): {f.test}" for f in chosen))
        return
    for test in dict.fromkeys(f.test for f in chosen):
        if (code := run(ROOT / "src", test)) != 0:
            sys.exit(f"mutations: {test} does not pass without a fault (pytest ended with {code}); mend it first")
    found = []
    for fault in chosen:
        found.append(verdict(fault))
        print(f"{found[-1]:10} {fault.name}", flush=True)
    caught = found.count("caught")
    print(f"{caught} of {len(found)} faults caught")
    sys.exit(caught < len(found))


if __name__ == "__main__":
    main()
