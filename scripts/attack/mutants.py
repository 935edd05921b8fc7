"""Files of every sort with something broken in them: no traceback, no endless work, nothing read wrong in silence.

A cell, a line, a byte or a value is changed at random. What was not touched must be read as before, and a touched value
either as it now stands, or with a word that says what was made of it.
"""

from __future__ import annotations

import io
import re
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from attack.registry import Tally, attack
from crosstalk.errors import CrosstalkError
from crosstalk.limits import shown

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
    plain = cell.replace("\ufeff", "").strip(" \t\0")  # a workbook cannot hold the last
    plain = plain.removesuffix(f" {ANALYTES[name]}")
    if value is None:
        same = plain.lower() in ("", "none", "null", "nan")
    else:
        try:
            same = not value[1] and bool(np.isclose(float(plain.lstrip("'")), value[0], rtol=1e-9))
        except ValueError:
            same = False
    return "" if same or told else f"{cell[:40]!r} became {value} without a word"


def numbers_in(content: bytes) -> np.ndarray:
    """Every number that a file shows, of all parts of an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b" ".join(archive.read(name) for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError, zlib.error):
        pass
    text = content.decode("utf-8", "replace") + " " + content.replace(b"\0", b"").decode("latin-1")
    found = [float(n) for n in re.findall(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", text.replace(",", "."))]
    return np.array([n for n in found if np.isfinite(n)])


def is_shown(value: float, numbers: np.ndarray) -> bool:
    """Whether a value is among the numbers, in units that differ by a power of ten."""
    if value <= 0:
        return value in numbers
    steps = np.log10(value / numbers[numbers > 0])
    return bool(np.isclose(steps, np.round(steps), atol=1e-9).any())


def invented(clean: dict[Any, Any], found: Any, content: bytes) -> str:
    """A value that is neither what it was nor anything that the file shows, and nothing says so."""
    if found.warnings or any(p.notes for p in found.panels):
        return ""
    now = {k: v for k, v in values(found).items() if clean.get(k) != v and k[1] in ANALYTES}
    numbers = numbers_in(content) if now else np.array([])
    made = {k: v for k, v in now.items() if not is_shown(v[0], numbers)}
    return f"{made}, which the file does not show" if made else ""


def cleanly(rows: list[list[str]]) -> dict[tuple[str, str], tuple[float, str]]:
    """What a table says: patient and analyte to value and censoring."""
    return {(row[0], a): (float(row[2 + j]), "") for row in rows[1:] for j, a in enumerate(ANALYTES)} | {
        (row[0], "sex"): (1.0, "") for row in rows[1:]
    }


def one_cell(rng: Rng, n: int, folder: Path, *, batch: bool) -> tuple[str, Callable[[], str]]:
    from crosstalk.panel.reader import read_panel

    rows = table(rng, n)
    who, column = int(rng.integers(1, n + 1)), int(rng.integers(2, len(rows[0])))
    cell = NASTY[int(rng.integers(len(NASTY)))]
    clean = cleanly(rows)
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
        for _ in tally.tries(count):
            if rng.random() < 0.5:
                what, act = one_cell(rng, 4, folder, batch=False)
            else:
                rows = table(rng, 4)
                clean = cleanly(rows)
                if rng.random() < 0.3:
                    rows[0][int(rng.integers(len(rows[0])))] = NASTY[int(rng.integers(len(NASTY)))]
                book = rng.random() < 0.3
                content = xlsx_of(rows) if book else csv_of(rows)
                file = folder / ("p.xlsx" if book else "p.csv")
                content = inside(content, rng) if book else mangled(content, rng)
                file.write_bytes(content)
                what = f"{file.suffix} of {shown(content[:3000], 400)}"

                def act(file: Path = file, clean: Any = clean, content: bytes = content) -> str:
                    return invented(clean, read_panel(file), content)

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


@attack("poisoned-cohorts", "a cohort with one refused value: nobody else changes, and it is told", count=5000)
def poisoned_cohorts(rng: Rng, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as made:
        for _ in tally.tries(count):
            outcome(tally, *one_cell(rng, 60, Path(made), batch=True))
    return tally
