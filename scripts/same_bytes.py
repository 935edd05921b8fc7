"""Run commands with two source trees and compare their JSON byte by byte: shows that a change of form changed nothing.

    git worktree add ../before main
    python scripts/same_bytes.py ../before/src src
    python scripts/same_bytes.py ../before/src src --only trial

Both trees get caches of their own, empty at the start. Exit code 1 if a command failed or its bytes differ.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 3600
COMMANDS = {
    "read": "read {panels}/nhanes_adults.csv",
    "assess": "assess {panels}/depression_inflamed.csv --seed 1 --virtual-patients 2000",
    "cohort": "assess {panels}/nhanes_adults.csv --seed 1 --virtual-patients 2000",
    "forecast": "forecast {panels}/depression_inflamed.csv --regimen ssri --seed 1 --virtual-patients 1000 --weeks 8",
    "plate": "plate {folder}/plate.csv",
    "simulate": "simulate {studies}/anti_tnf_by_crp.toml --patients 40 --worlds 4 --seed 1",
    "trial": "trial {trials}/minocycline_crp3.toml --replicates 20 --worlds 4 --seed 1 --jobs 1",
    "learn": "learn {folder}/cohort.csv --outcome remitted --positive yes --covariates age --site site --folds 3 "
    "--repeats 2 --bootstrap 10 --seed 1 --no-mechanism",
    "evidence": "evidence pool --endpoint change --of HAMD17 --drug minocycline",
    "moderation": "evidence moderation --draws 3 --patients 20 --seed 1",
    "model": "model check",
}
"""Ten and one verbs; every one writes JSON."""


def cohort() -> str:
    """A made-up cohort whose outcome depends on two of its values."""
    rng = random.Random(1)
    rows = ["patient,site,age,hsCRP [mg/L],IL-6 [pg/mL],TNF [pg/mL],remitted"]
    for k in range(240):
        crp, il6, tnf, age = (rng.lognormvariate(m, s) for m, s in ((0.7, 1.0), (0.6, 0.6), (0.4, 0.4), (3.7, 0.3)))
        well = rng.random() < 1 / (1 + 2.0 * crp**0.7 / (1 + il6))
        rows.append(f"P{k},{'ABC'[k % 3]},{age:.0f},{crp:.2f},{il6:.2f},{tnf:.2f},{'yes' if well else 'no'}")
    return "\n".join(rows) + "\n"


def plate() -> str:
    """A made-up export of Luminex xPONENT with one analyte: eight standards in duplicate, and samples."""
    rng = random.Random(2)
    wells, median, expected = [], [], []
    for level in range(8):
        dose = 2000 / 4**level if level < 7 else 0.0
        for copy in range(2):
            wells.append((f"1({2 * level + copy + 1},{chr(65 + level)}{copy + 1})", f"Standard{level + 1}"))
            median.append((20 + 20000 * dose / (dose + 400)) * (1 + 0.03 * rng.gauss(0, 1)))
        expected.append((f"Standard{level + 1}", dose))
    for k in range(24):
        where = f"{chr(65 + k % 8)}{3 + k // 8}"
        wells.append((f"1({17 + k},{where})", f"S{k // 2 + 1}"))
        median.append(120 + 600 * (k // 2) + 20 * rng.random())
    lines = ['"Program","xPONENT","","MAGPIX"', '"Build","4.2.1705.0"', '"Date","11/03/2025","2:10 PM"', "",
             '"Results"', ""]  # fmt: skip
    lines += ['"DataType:","Median"', '"Location","Sample","IL-6","Total Events"']
    lines += [f'"{w}","{name}","{m:.1f}","100"' for (w, name), m in zip(wells, median, strict=True)]
    lines += ["", '"DataType:","Count"', '"Location","Sample","IL-6","Total Events"']
    lines += [f'"{w}","{name}","100","100"' for w, name in wells]
    lines += ["", '"DataType:","Units"', '"Analyte:","IL-6"', '"Units:","pg/mL"']
    lines += ["", '"DataType:","Standard Expected Concentration"', '"Sample","IL-6"']
    lines += [f'"{name}","{dose:g}"' for name, dose in expected]
    return "\n".join(lines) + "\n"


def run(source: Path, words: list[str], cache: Path, result: Path) -> tuple[bytes, str]:
    """JSON of one command, and what went wrong."""
    environment = os.environ | {"PYTHONPATH": str(source), "CROSSTALK_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", "crosstalk", *words, "--json", str(result)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    return (result.read_bytes(), "") if result.is_file() else (b"", done.stderr.strip() or f"exit {done.returncode}")


def main() -> None:
    """Compare; print one line for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="source tree, such as ../before/src")
    parser.add_argument("after", type=Path)
    parser.add_argument("--only", default="", help="commands whose name holds this text")
    parser.add_argument("--keep", type=Path, help="folder for the JSON and the caches, to look at a difference")
    options = parser.parse_args()
    for tree in (options.before, options.after):
        if not (tree / "crosstalk" / "__init__.py").is_file():
            sys.exit(f"same_bytes: {tree} holds no package crosstalk; give the folder src of a checkout")
    bad = 0
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep.resolve() if options.keep else Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cohort.csv").write_text(cohort(), encoding="utf-8")
        (folder / "plate.csv").write_text(plate(), encoding="utf-8")
        places = {name: ROOT / "examples" / name for name in ("panels", "studies", "trials")} | {"folder": folder}
        for name, command in COMMANDS.items():
            if options.only not in name:
                continue
            words = [word.format(**places) for word in command.split()]
            texts = []
            for side, tree in (("before", options.before), ("after", options.after)):
                # the same name for both: a result may hold its command
                result = folder / f"{name}.json"
                result.unlink(missing_ok=True)
                found, wrong = run(tree.resolve(), words, folder / f"cache-{side}", result)
                texts.append(found)
                (folder / f"{name}-{side}.json").write_bytes(found)
                if wrong:
                    print(f"failed     {name} ({side}): {wrong.splitlines()[-1]}", flush=True)
            same = texts[0] == texts[1] and bool(texts[0])
            bad += not same
            print(f"{'same' if same else 'DIFFERENT':10} {name}: {len(texts[1])} bytes", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
