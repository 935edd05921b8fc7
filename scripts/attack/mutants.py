"""Files of every sort with something broken in them: no traceback, no endless work, nothing read wrong in silence.

A cell, a line, a byte or a value is changed at random. What was not touched must be read as before, and a touched value
either as it now stands, or with a word that says what was made of it.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from attack.registry import Tally, attack
from crosstalk.errors import CrosstalkError

Rng = np.random.Generator

SLOW = 5.0  # seconds of processor time that no small file may take
NASTY = (
    "", " ", "-5", "0", "nan", "inf", "-inf", "1e308", "1e-320", "1e9", "<", ">", "<<1", "5..1", "1,234", "1.234.567",
    "abc", "#REF!", "=1/0", "=1+1", "+1+cmd|' /C calc'!A0", "@SUM(1)", "'=1", "'", '"', "\t=1", "5 %", "5 mg/L",
    "5 furlongs", "\u0663", "5" * 300, "x" * 40_000, "5 " + "\u00a0" * 30_000 + "x", "[" * 5_000,
    "(" * 3_000 + ")" * 3_000, "\x1b[31mred\x1b[0m", "\u202etxt", "2024-03-01", "1-Mar", "yes", "None", "null", "{}",
    "[1]", "1e400", "0x1F", "1_000", "\u00bd", "5\u00b2", "\x00", "\ufeff5",
)  # fmt: skip
NUMBERS = (
    "1e9", "1e308", "-1", "0", "1e-320", "nan", "inf", "10000000000000000000000", "9" * 5000, '"x"', "[]", "{}", "true",
    "[" * 2000 + "]" * 2000, "1970-01-01", '"\\u001b[31m"', "0.5",
)  # fmt: skip


def outcome(tally: Tally, what: str, act: Callable[[], str]) -> None:
    """Count one try; ``act`` gives words for what is wrong, empty for right."""
    begun = time.process_time()
    try:
        wrong = act()
    except CrosstalkError as error:
        wrong = f"a message of {len(str(error))} characters" if len(str(error)) > 60_000 else None
    except Exception as error:
        wrong = f"{type(error).__name__}: {str(error)[:150]}"
    took = time.process_time() - begun
    if not wrong and took > SLOW:
        wrong = f"{took:.0f} s"
    if wrong is None:
        tally.refuse()
    elif wrong:
        tally.fault(f"{what}: {wrong}")
    else:
        tally.pass_()


def mangled(content: bytes, rng: Rng) -> bytes:
    """Bytes flipped, cut, doubled, moved or put in."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at, n = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        match int(rng.integers(6)):
            case 0 if data:
                data[at % len(data)] ^= 1 << int(rng.integers(8))
            case 1:
                del data[at : at + n]
            case 2:
                data[at:at] = data[at : at + n]
            case 3:
                data[at:at] = rng.integers(0, 256, n, dtype=np.uint8).tobytes()
            case 4:
                data[at:at] = NASTY[int(rng.integers(len(NASTY)))].encode("utf-8")
            case _:
                del data[at:]
    return bytes(data)


# Panels and cohorts

ANALYTES = {"hsCRP": "mg/L", "IL-6": "pg/mL", "TNF": "pg/mL", "BMI": "kg/m2", "HAMD17": ""}


def table(rng: Rng, n: int) -> list[list[str]]:
    """A wide table of plain values."""
    rows = [["patient", "sex", *(f"{a} [{u}]" if u else a for a, u in ANALYTES.items())]]
    for i in range(n):
        values = (rng.uniform(0.3, 9), rng.uniform(0.3, 3), rng.uniform(0.9, 2.8), rng.uniform(19, 38))
        rows.append([f"P{i}", "female", *(f"{v:.3f}" for v in values), str(int(rng.integers(14, 30)))])
    return rows


def csv_of(rows: list[list[str]]) -> bytes:
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def xlsx_of(rows: list[list[str]]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.utils.exceptions import IllegalCharacterError

    book, content = Workbook(), io.BytesIO()
    for row in rows:
        try:
            book.active.append([cell[:32_767] for cell in row])
        except IllegalCharacterError:
            book.active.append(["".join(c for c in cell if c.isprintable()) for cell in row])
    book.save(content)
    return content.getvalue()


def values(found: Any) -> dict[tuple[str, str], tuple[float, str]]:
    """What was read: patient and analyte to value and censoring."""
    return {(p.patient, a): (m.value, m.censored) for p in found.panels for a, m in p.measurements.items()}


def compared(clean: dict[Any, Any], found: Any, who: str, name: str, cell: str) -> str:
    """What is wrong in a table of which one cell was changed."""
    now = values(found)
    for key, value in clean.items():
        if key != (who, name) and now.get(key) != value and not key[1].startswith(name):
            return f"{key} was {value} and is {now.get(key)}"
    told = [*found.warnings, *(note for p in found.panels if p.patient == who for note in p.notes)]
    value = now.get((who, name))
    plain = cell.replace("\ufeff", "").strip()
    if value is None:
        same = plain.lower() in ("", "none", "null", "nan")
    else:
        try:
            same = not value[1] and bool(np.isclose(float(plain.lstrip("'")), value[0], rtol=1e-9))
        except ValueError:
            same = False
    return "" if same or told else f"{cell[:40]!r} became {value} without a word"


def one_cell(rng: Rng, n: int, folder: Path, *, batch: bool) -> tuple[str, Callable[[], str]]:
    from crosstalk.panel.reader import read_panel

    rows = table(rng, n)
    who, column = int(rng.integers(1, n + 1)), int(rng.integers(2, len(rows[0])))
    cell = NASTY[int(rng.integers(len(NASTY)))]
    clean = {(row[0], a): (float(row[2 + j]), "") for row in rows[1:] for j, a in enumerate(ANALYTES)} | {
        (row[0], "sex"): (1.0, "") for row in rows[1:]
    }
    rows[who][column] = cell
    book = not batch and rng.random() < 0.3
    file = folder / ("p.xlsx" if book else "p.csv")
    file.write_bytes(xlsx_of(rows) if book else csv_of(rows))
    name = list(ANALYTES)[column - 2]
    return f"{name} = {cell[:40]!r}", lambda: compared(clean, read_panel(file, batch=batch), f"P{who - 1}", name, cell)


@attack("mutated-panels", "CSV and XLSX: a cell, a header or bytes changed", count=5000)
def mutated_panels(rng: Rng, count: int) -> Tally:
    from crosstalk.panel.reader import read_panel

    tally = Tally()
    with TemporaryDirectory() as made:
        folder = Path(made)
        for _ in range(count):
            if rng.random() < 0.5:
                what, act = one_cell(rng, 4, folder, batch=False)
            else:
                rows = table(rng, 4)
                if rng.random() < 0.3:
                    rows[0][int(rng.integers(len(rows[0])))] = NASTY[int(rng.integers(len(NASTY)))]
                book = rng.random() < 0.3
                content = xlsx_of(rows) if book else csv_of(rows)
                file = folder / ("p.xlsx" if book else "p.csv")
                file.write_bytes(inside(content, rng) if book else mangled(content, rng))
                what, act = f"bytes of a {file.suffix}", lambda file=file: "" if read_panel(file) else "nothing"
            outcome(tally, what, act)
    return tally


def inside(content: bytes, rng: Rng) -> bytes:
    """A workbook of which the archive or one part of it is mangled."""
    if rng.random() < 0.4:
        return mangled(content, rng)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            new.writestr(name, mangled(old.read(name), rng) if name == chosen else old.read(name))
    return made.getvalue()


@attack("poisoned-cohorts", "a cohort with one refused value: nobody else changes, and it is told", count=1000)
def poisoned_cohorts(rng: Rng, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as made:
        for _ in range(count):
            outcome(tally, *one_cell(rng, 60, Path(made), batch=True))
    return tally


# Trees: FHIR, locked models, studies


def tree(value: Any, rng: Rng) -> Any:
    """The same tree with one of its leaves or branches replaced, dropped, doubled or renamed."""
    value = json.loads(json.dumps(value))
    spots: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        spots += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], (dict, list))]
    holder, key = spots[int(rng.integers(len(spots)))]
    deep: Any = 1
    for _ in range(int(rng.choice([3, 300, 3000])) if rng.random() < 0.1 else 1):
        deep = [deep]
    nasty: list[Any] = [
        None,
        True,
        -1,
        0,
        1e308,
        1e-320,
        10**400,
        5,
        "x",
        "",
        [],
        {},
        deep,
        "\ud800",
        {"a": {"b": 1}},
        *NASTY,
    ]
    match int(rng.integers(4)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case 2 if isinstance(holder, dict):
            holder[NASTY[int(rng.integers(len(NASTY)))]] = holder.pop(key)
        case _:
            holder[key] = nasty[int(rng.integers(len(nasty)))]
    return value


def dumped(value: Any) -> str:
    import sys

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return json.dumps(value)
    finally:
        sys.setrecursionlimit(limit)


def bundle(rng: Rng) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [
        {"resource": {"resourceType": "Patient", "id": "7", "gender": "female", "birthDate": "1980-01-01"}}
    ]
    for i, (code, unit) in enumerate((("30522-7", "mg/L"), ("26881-3", "pg/mL"), ("2345-7", "mg/dL"))):
        quantity = {"value": 90 if i == 2 else 2.5, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        entries.append(
            {
                "fullUrl": f"urn:uuid:{i}",
                "resource": {
                    "resourceType": "Observation", "id": f"o{i}", "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                    "subject": {"reference": "Patient/7"}, "effectiveDateTime": f"2024-05-01T08:0{i}:00Z",
                    "valueQuantity": quantity,
                },
            }
        )  # fmt: skip
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@attack("mutated-fhir", "FHIR bundles and NDJSON: a branch or bytes changed", count=5000)
def mutated_fhir(rng: Rng, count: int) -> Tally:
    from crosstalk.panel.reader import read_panel

    tally = Tally()
    with TemporaryDirectory() as made:
        file = Path(made) / "f.json"
        for _ in range(count):
            found = tree(bundle(rng), rng)
            if rng.random() < 0.4:
                entries = found.get("entry") if isinstance(found, dict) else None
                lines = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
                text = "\n".join(map(dumped, lines)) or dumped(found)
            else:
                text = dumped(found)
            content = text.encode("utf-8", "surrogatepass")
            file.write_bytes(mangled(content, rng) if rng.random() < 0.4 else content)

            def act() -> str:
                read = read_panel(file, batch=True)
                for panel in read.panels:
                    panel.patient.encode("utf-8")
                    for name, m in panel.measurements.items():
                        if not np.isfinite(m.value) or m.value < 0:
                            return f"{name} is {m.value}"
                return ""

            outcome(tally, content[:0].decode() + text[-80:], act)
    return tally


@attack("mutated-studies", "study files: keys, values, lines or bytes changed", count=5000)
def mutated_studies(rng: Rng, count: int) -> Tally:
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.study.schema import read_study

    knowledge, tally = load_knowledge(), Tally()
    texts = [path.read_bytes() for path in knowledge.study_files.values()]
    with TemporaryDirectory() as made:
        file = Path(made) / "s.toml"
        for _ in range(count):
            content = texts[int(rng.integers(len(texts)))]
            if rng.random() < 0.6:
                lines = content.decode().splitlines()
                at = [i for i, line in enumerate(lines) if "=" in line]
                i = at[int(rng.integers(len(at)))]
                key, _, value = lines[i].partition("=")
                new = NUMBERS[int(rng.integers(len(NUMBERS)))]
                parts = [k for k in range(len(value)) if value[k].isdigit()]
                if parts and rng.random() < 0.6:  # one number within a table in braces
                    k = parts[int(rng.integers(len(parts)))]
                    lines[i] = f"{key}={value[:k]}{new}{value[k + 1 :]}"
                else:
                    lines[i] = f"{key}= {new}"
                content = "\n".join(lines).encode()
            else:
                content = mangled(content, rng)
            file.write_bytes(content)

            def act() -> str:
                study = read_study(file, knowledge)
                return "" if len(study.output_times_h) < 20_000 else f"{len(study.output_times_h)} output times"

            outcome(tally, "study", act)
    return tally


# Models and ensembles

SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="m"><listOfParameters>
<parameter id="A" value="1" constant="false"/><parameter id="B" value="0" constant="false"/>
<parameter id="k" value="0.5" constant="true"/></listOfParameters><listOfRules>
<rateRule variable="A"><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><minus/><apply><times/><ci>k</ci><ci>A</ci>
</apply></apply></math></rateRule>
<rateRule variable="B"><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>k</ci><ci>A</ci></apply></math>
</rateRule></listOfRules></model></sbml>"""


@attack("mutated-sbml", "SBML: bytes changed, formulas nested", count=5000)
def mutated_sbml(rng: Rng, count: int) -> Tally:
    from crosstalk.engine.sbml import read_sbml

    tally = Tally()
    for _ in range(count):
        if rng.random() < 0.1:
            n = int(rng.choice([10, 100, 140, 200, 400, 5_000, 60_000]))
            text = SBML.replace("<ci>A</ci>", "<apply><sin/>" * n + "<ci>A</ci>" + "</apply>" * n, 1)
        else:
            text = mangled(SBML.encode(), rng).decode("utf-8", "replace")

        def act(text: str = text) -> str:
            system = read_sbml(text)
            return "" if len(system.rates) == len(system.states) else "states without rates"

        outcome(tally, text[-200:-150], act)
    return tally


@attack("engine-batches", "ensembles with hostile parameters: nobody else changes", count=1000)
def engine_batches(rng: Rng, count: int) -> Tally:
    from crosstalk.engine import Event, Problem, get_engine

    tally, engine, times = Tally(), get_engine(jobs=1), np.arange(6.0)
    hostile = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, -500.0, 1e9, 0.0, -0.0)
    wrong: tuple[dict[str, Any], ...] = (
        {"times_h": np.array([1.0, 2.0])}, {"times_h": np.array([0.0, np.nan])}, {"times_h": np.array([0.0, 3.0, 2.0])},
        {"times_h": np.array([0.0, np.inf])}, {"times_h": np.array([])}, {"events": (Event(np.nan, "A", 1.0),)},
        {"events": (Event(1.0, "A", np.ones(3)),)}, {"parameters": {"k": np.ones(3)}}, {"n": -1}, {"outputs": ("Z",)},
        {"events": (Event(1.0, "Z", 1.0),)}, {"parameters": {"Z": np.ones(9)}}, {"initial": {"A": np.ones((9, 1))}},
    )  # fmt: skip
    for _ in range(count):
        k = rng.uniform(0.1, 2.0, 9)
        fine = Problem(SBML, 9, {"k": k}, times, ("A", "B"))

        def misuse(fine: Problem = fine) -> str:
            chosen = wrong[int(rng.integers(len(wrong)))]
            engine.simulate(replace(fine, **chosen))
            return f"{chosen} was taken"

        def poisoned(k: Any = k) -> str:
            at, bad = int(rng.integers(9)), k.copy()
            bad[at] = hostile[int(rng.integers(len(hostile)))]
            before = engine.simulate(Problem(SBML, 9, {"k": k}, times, ("A", "B")))
            after = engine.simulate(Problem(SBML, 9, {"k": bad}, times, ("A", "B")))
            others = np.arange(9) != at
            if not np.array_equal(before.values[others], after.values[others]):
                return f"k = {bad[at]} changed another patient"
            finite = bool(np.isfinite(after.values[at]).all())
            return "" if finite or at in after.failures else f"k = {bad[at]}: not finite, and no failure"

        outcome(tally, "ensemble", misuse if rng.random() < 0.3 else poisoned)
    return tally
