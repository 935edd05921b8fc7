"""How many values of NHANES the reader asks back: ``python scripts/plausibility.py TABLE.csv [TABLE.csv ...]``.

A table has a row per adult and the columns of `crosstalk.panel.nhanes.tidy`. The reader's limits should ask back
at most 1 in 10,000 of these real values.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.nhanes import COLUMNS
from crosstalk.panel.plausibility import codes, contradictions, disagreements, suspicion
from crosstalk.panel.records import Measurement

MORE = {"nlr": "NLR", "mlr": "MLR", "plr": "PLR", "sii": "SII", "homa_ir": "HOMA-IR"}


def counts(table: pd.DataFrame) -> dict[str, tuple[int, list[str]]]:
    """Number of values and what is asked back, by analyte; ``together`` are contradictions within a person."""
    known = load_knowledge().analytes
    names = {c.name: c.analyte for c in COLUMNS if c.analyte and c.analyte != "sex"} | MORE
    names = {c: a for c, a in names.items() if c in table}
    found: dict[str, tuple[int, list[str]]] = {}
    people: list[dict[str, Measurement]] = [{} for _ in range(len(table))]
    for column, name in names.items():
        asked, kept = [], []
        for i, value in enumerate(table[column]):
            if not value > 0:
                continue
            m = people[i][name] = Measurement(name, float(value), given=f"{value:g}")
            kept.append(m)
            if words := suspicion(known[name], m.value, m.value, ""):
                asked.append(words)
        asked += [f"{m.value:g} as a code" for m in codes(known[name], kept)]
        found[name] = (len(kept), asked)
    together = [words for person in people for _, words in contradictions(person)]
    found["together"] = (len(people), together)
    found["told, not asked"] = (len(people), [words for person in people for words in disagreements(person)])
    return found


def main(paths: list[str]) -> None:
    total = asked = 0
    for name, (n, words) in counts(pd.concat([pd.read_csv(Path(p)) for p in paths])).items():
        print(f"{name:20} {n:7} values, {len(words)} asked back  {'; '.join(words[:4])}")
        if name != "told, not asked":
            total, asked = total + n * (name != "together"), asked + len(words)
    print(f"all: {asked} of {total} values, {1e4 * asked / total:.2f} in 10,000")


if __name__ == "__main__":
    main(sys.argv[1:])
