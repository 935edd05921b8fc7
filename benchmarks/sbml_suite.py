"""The SBML test suite, every level and version of each case: what is read, and what is refused by name, as a table.

``python benchmarks/sbml_suite.py FOLDER [--every N]`` where the folder holds ``NNNNN/NNNNN-sbml-lXvY.xml`` (the folder
``cases/semantic`` of the suite). Whether the courses are right is for ``make test-all``, which integrates them.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from pathlib import Path

from crosstalk.engine.sbml import read_sbml
from crosstalk.errors import ModelError

FILE = re.compile(r"(\d{5})-sbml-l(\d)v(\d)\.xml")


def reason(error: ModelError) -> str:
    """The feature that is refused, without names of one model."""
    text = " ".join(str(error).split()).partition(", which is not supported")[0]
    text = re.sub(r"^the model (uses|needs) |\s*\([^)]*\)$", "", text)
    return re.sub(r" '[^']*'(?=$|,)", "", text) if "package" not in text else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only every n-th case")
    asked = parser.parse_args()
    cases = sorted(p for p in asked.folder.iterdir() if p.is_dir())[:: asked.every]
    read: Counter[str] = Counter()
    refused: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        for path in sorted(case.glob("*.xml")):
            if (found := FILE.fullmatch(path.name)) is None:
                continue
            level = f"L{found[2]}V{found[3]}"
            read[level] += 1
            try:
                read_sbml(path.read_text(encoding="utf-8"))
            except ModelError as error:
                refused[reason(error)][level] += 1
    levels = sorted(read)
    print(f"| {len(cases)} cases | {' | '.join(levels)} |\n|---|{'---|' * len(levels)}")
    print(f"| documents | {' | '.join(str(read[v]) for v in levels)} |")
    for feature, counts in sorted(refused.items(), key=lambda item: -item[1].total()):
        print(f"| refused: {feature} | {' | '.join(str(counts[v] or '') for v in levels)} |")


if __name__ == "__main__":
    main()
