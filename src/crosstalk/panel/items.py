"""Items of symptom scales: summed where all of a scale are there, never taken for its total."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from crosstalk.panel.cells import MISSING
from crosstalk.panel.entries import Entry

__all__ = ["families", "item_of", "sum_items"]


class Scale(NamedTuple):
    """Items of a scale: how many, the highest of one, and how they sum."""

    size: int
    highest: int
    total: Callable[[Mapping[int, int]], int]


def _sum(items: Mapping[int, int]) -> int:
    return sum(items.values())


def _qids(items: Mapping[int, int]) -> int:
    """The highest of sleep (1 to 4), of appetite and weight (6 to 9) and of psychomotor (15, 16), and the others."""
    groups = ((1, 2, 3, 4), (6, 7, 8, 9), (15, 16), (5,), (10,), (11,), (12,), (13,), (14,))
    return sum(max(items[i] for i in group) for group in groups)


# scoring of the QIDS: Rush 2003, doi 10.1016/S0006-3223(02)01866-8; the others are plain sums
SCALES: Mapping[str, Scale] = {
    "PHQ9": Scale(9, 3, _sum),
    "HAMD17": Scale(17, 4, _sum),
    "MADRS": Scale(10, 6, _sum),
    "QIDS16": Scale(16, 3, _qids),
}
_ITEM = re.compile(
    r"(?P<scale>phq[ _-]?9|phq|ham[ _-]?d[ _-]?17|ham[ _-]?d|hdrs[ _-]?17|hdrs|hrsd|madrs|"
    r"qids[ _-]?(?:sr|c)?[ _-]?16|qids[ _-]?(?:sr|c)?)"
    r"(?P<word>[ _.-]*(?:item|itm|i|q|question|frage)?[ _.-]*)0*(?P<number>[1-9]|1[0-7])",
    re.IGNORECASE,
)
_NAMES = (("phq", "PHQ9"), ("qids", "QIDS16"), ("madrs", "MADRS"), ("h", "HAMD17"))


def item_of(name: str) -> tuple[str, int] | None:
    """Scale and number of an item by its name; None for any other name.

    Examples
    --------
    >>> item_of("phq1"), item_of("HAMD_item_07"), item_of("phq9_3"), item_of("PHQ9"), item_of("hsCRP")
    (('PHQ9', 1), ('HAMD17', 7), ('PHQ9', 3), ('PHQ9', 9), None)
    """
    match = _ITEM.fullmatch(name.strip())
    if match is None:
        return None
    scale = next(id_ for start, id_ in _NAMES if match["scale"].lower().startswith(start))
    number = int(match["number"])
    if number > SCALES[scale].size or (re.search(r"\d$", match["scale"]) and not match["word"].strip()):
        return None
    return scale, number


def families(names: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Names that are items: at least two of one scale; ``phq9`` alone is the total."""
    found = {name: item for name in names if (item := item_of(name)) is not None}
    numbers: dict[str, set[int]] = {}
    for scale, number in found.values():
        numbers.setdefault(scale, set()).add(number)
    return {name: item for name, item in found.items() if len(numbers[item[0]]) > 1}


def sum_items(file: str, entries: Sequence[Entry]) -> tuple[list[Entry], list[str], list[str]]:
    """Entries with items of a scale replaced by their sum, problems, and warnings.

    A patient who lacks an item has no sum; a file that lacks one has none of that scale, and its items are left out.
    """
    items = families({e.analyte for e in entries})
    if not items:
        return list(entries), [], []
    names: dict[str, dict[int, str]] = {}
    for name, (scale, number) in items.items():
        names.setdefault(scale, {})[number] = name
    rest = [e for e in entries if e.analyte not in items]
    problems: list[str] = []
    warnings: list[str] = []
    answers: dict[tuple[str, str, str, str], dict[int, Entry]] = {}
    for e in entries:
        if e.analyte in items:
            scale, number = items[e.analyte]
            answers.setdefault((e.patient, scale, e.visit, e.date or e.time), {})[number] = e
    for scale, own in names.items():
        count = SCALES[scale].size
        listed = f"{own[min(own)]} to {own[max(own)]}"
        lacking = [n for n in range(1, count + 1) if n not in own]
        if lacking:
            warnings.append(
                f"{file}: {listed} are items of the {scale}, of which {len(lacking)} are not in the file; left out; "
                f"give the total as {scale}"
            )
        else:
            warnings.append(f"{file}: {listed} are items of the {scale}; summed")
    for (patient, scale, _, _), found in answers.items():
        rule = SCALES[scale]
        if len(names[scale]) < rule.size:
            continue
        first = found[min(found)]
        filled = {n: e.value.strip() for n, e in found.items() if e.value.strip().lower() not in MISSING}
        odd = next((n for n, text in filled.items() if not text.isdigit() or int(text) > rule.highest), None)
        if odd is not None:
            e = found[odd]
            problems.append(
                f"{file}, {e.place}, patient {patient}, {e.analyte}: received '{e.value}'; an item of the {scale} runs "
                f"from 0 to {rule.highest}; name the total {scale} total, or empty the cell"
            )
            continue
        total = "" if len(filled) < rule.size else str(rule.total({n: int(text) for n, text in filled.items()}))
        rest.append(first._replace(analyte=scale, value=total, unit="", remarks=(*first.remarks, "sum of its items")))
    return rest, problems, warnings
