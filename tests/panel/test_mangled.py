"""Ten thousand mangled files: read right, read with a warning that names the change, or refused with place and remedy.

A file whose damage makes another valid file (a dropped row, a digit exchanged for another, a unit that is as plausible)
cannot be told from a file that was meant so. It must then be read exactly as it stands, which an independent, naive
reading of the same text checks. Such files are counted apart.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isclose
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import read_panel
from crosstalk.units import convert

KNOWLEDGE = load_knowledge()
Value = tuple[str, float, float]  # censoring, value, upper end
Truth = dict[tuple[str, str], Value]

# analyte: unit as written, lowest and highest value in it
POOL = {
    "hsCRP": ("mg/L", 0.2, 60.0),
    "IL-6": ("pg/mL", 0.3, 30.0),
    "TNF": ("pg/ml", 0.5, 20.0),
    "cortisol": ("nmol/L", 80.0, 900.0),
    "leptin": ("µg/L", 1.0, 60.0),
    "tryptophan": ("umol/L", 20.0, 90.0),
    "platelets": ("/uL", 120_000.0, 420_000.0),
    "HAMD17": ("", 8.0, 35.0),
}
SWAPPED = {
    "mg/L": "mg/dL", "pg/mL": "ng/mL", "pg/ml": "ng/L", "nmol/L": "ug/dL", "µg/L": "pg/mL", "umol/L": "mg/L",
    "/uL": "10*9/L",
}  # fmt: skip
REMEDY = re.compile(
    r"\b(write|keep|save|give|correct|check|name|fill|delete|use|export|add|expected|rename|did you mean|choose)\b|"
    r"`crosstalk analytes` lists"
)


@dataclass(frozen=True)
class Table:
    """A valid file: header and rows of cells, and how it is written."""

    rows: list[list[str]]
    long: bool
    truth: Truth
    separator: str = ","
    encoding: str = "utf-8"
    newline: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    above: tuple[str, ...] = ()
    raw: dict[int, str] = field(default_factory=dict)  # lines written as they stand, by number of the row

    def content(self) -> bytes:
        text = io.StringIO(newline="")
        for line in self.above:
            text.write(line + self.newline)
        # csv quotes a line break inside a cell only where it is the one that ends lines
        quoting = csv.QUOTE_ALL if any("\n" in cell for row in self.rows for cell in row) else self.quoting
        writer = csv.writer(text, delimiter=self.separator, quoting=quoting, lineterminator=self.newline)
        for i, row in enumerate(self.rows):
            if i in self.raw:
                text.write(self.raw[i] + self.newline)
            else:
                writer.writerow(row)
        return text.getvalue().encode(self.encoding)

    def cells(self) -> list[tuple[int, int]]:
        """Row and column of every value."""
        columns = [2] if self.long else range(1, len(self.rows[0]))
        return [(i, j) for i in range(1, len(self.rows)) for j in columns]

    def with_cells(self, change: Callable[[str], str]) -> Table:
        rows = [list(row) for row in self.rows]
        for i, j in self.cells():
            rows[i][j] = change(rows[i][j])
        return replace(self, rows=rows)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, Random]:
    rng = Random(draw(st.integers(0, 2**48)))
    long = draw(st.booleans())
    patients = draw(
        st.lists(st.sampled_from(["A", "B", "P1", "007", "12", "x-3", "Z 9"]), min_size=1, max_size=6, unique=True)
    )
    analytes = draw(st.lists(st.sampled_from(sorted(POOL)), min_size=2, max_size=6, unique=True))
    separator = draw(st.sampled_from(",;\t|"))
    truth: Truth = {}
    texts: dict[tuple[str, str], str] = {}
    for patient in patients:
        for analyte in analytes:
            texts[patient, analyte], value = _cell(rng, analyte)
            if value is not None:
                truth[patient, analyte] = value
    units = {a: POOL[a][0] for a in analytes}
    if long:
        rows = [["patient", "analyte", "value", "unit"]]
        rows += [[p, a, texts[p, a], units[a]] for p in patients for a in analytes]
    else:
        rows = [["patient", *(f"{a} [{units[a]}]" if units[a] else a for a in analytes)]]
        rows += [[p, *(texts[p, a] for a in analytes)] for p in patients]
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return Table(rows, long, truth, separator, newline=newline), rng


def _cell(rng: Random, analyte: str) -> tuple[str, Value | None]:
    unit, low, high = POOL[analyte]
    digits = 0 if analyte in ("HAMD17", "platelets") else rng.choice([0, 1, 1, 2, 2, 3, 4])
    text = f"{rng.uniform(low, high):.{digits}f}" if digits else f"{rng.randint(int(low) + 1, int(high))}"
    number = _own(analyte, float(text), unit)
    kind = rng.choices(["number", "left", "right", "interval", "missing"], [14, 2, 1, 1, 1])[0]
    if analyte == "HAMD17" or kind == "number":
        return text, ("", number, 0.0)
    if kind == "left":
        return rng.choice(["<", "< ", "<="]) + text, ("left", number, 0.0)
    if kind == "right":
        return ">" + text, ("right", number, 0.0)
    if kind == "interval":
        upper = f"{2 * float(text):.4f}"
        return f"{text}..{upper}", ("interval", number, _own(analyte, float(upper), unit))
    return rng.choice(["", "NA"]), None


def _own(analyte: str, value: float, unit: str) -> float:
    a = KNOWLEDGE.analytes[analyte]
    return (
        value * convert(1.0, unit, a.unit, molar_mass=a.molar_mass, factors=a.units_by_rule or None) if unit else value
    )


# How files are mangled. Spellings keep the meaning: values must be read as they were. Damage may change it.


def as_it_is(table: Table, rng: Random) -> Table:
    return table


def encoding(table: Table, rng: Random) -> Table:
    return replace(
        table,
        encoding=rng.choice(
            ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "mac_roman", "cp850"]
        ),
    )


def foreign_letters(table: Table, rng: Random) -> Table:
    rows = [[cell.replace("A", "Ä") if j == 0 else cell for j, cell in enumerate(row)] for row in table.rows]
    truth = {(p.replace("A", "Ä"), a): v for (p, a), v in table.truth.items()}
    return replace(
        table,
        rows=rows,
        truth=truth,
        encoding=rng.choice(["utf-8", "cp1252", "latin-1", "cp850", "mac_roman", "utf-16"]),
    )


def separator(table: Table, rng: Random) -> Table:
    chosen = rng.choice(",;\t|")
    return replace(table, separator=chosen, above=(f"sep={chosen}",) if rng.random() < 0.3 else ())


def decimal_comma(table: Table, rng: Random) -> Table:
    if rng.random() < 0.2:  # without the quotes that a separator inside a cell needs
        raw = {i: table.separator.join(row).replace(".", ",") for i, row in enumerate(table.rows) if i}
        return replace(table, raw={i: line.replace(",,", "..") for i, line in raw.items()})
    return table.with_cells(lambda text: "..".join(part.replace(".", ",") for part in text.split("..")))


def scientific(table: Table, rng: Random) -> Table:
    sign = rng.choice(".,")
    return table.with_cells(
        lambda text: f"{float(text) / 100}e2".replace(".", sign) if re.fullmatch(r"\d+\.\d", text) else text
    )


def thousands(table: Table, rng: Random) -> Table:
    mark = rng.choice([",", "\u00a0", "\u202f", "'", "’", " "])
    return table.with_cells(lambda text: _grouped(text, mark))


def _grouped(text: str, mark: str) -> str:
    return re.sub(r"(?<![\d.])\d{4,}", lambda m: f"{int(m[0]):,}".replace(",", mark), text)


def repeated_header(table: Table, rng: Random) -> Table:
    rows = list(table.rows)
    rows.insert(rng.randint(1, len(rows)), list(rows[0]))
    return replace(table, rows=rows)


def blank_lines(table: Table, rng: Random) -> Table:
    rows = [list(row) for row in table.rows]
    for _ in range(rng.randint(1, 3)):
        rows.insert(rng.randint(0, len(rows)), rng.choice([[], [""] * len(rows[0]), ["# a comment"], ["", " "]]))
    return replace(table, rows=rows)


def trailing_separators(table: Table, rng: Random) -> Table:
    extra, header_too = [""] * rng.randint(1, 3), rng.random() < 0.5
    return replace(table, rows=[row + extra if i or header_too else row for i, row in enumerate(table.rows)])


def empty_leading_column(table: Table, rng: Random) -> Table:
    return replace(table, rows=[["", *row] for row in table.rows])


def quotes(table: Table, rng: Random) -> Table:
    return replace(table, quoting=csv.QUOTE_ALL)


def quoted_lines(table: Table, rng: Random) -> Table:
    """A comment of several lines in a cell."""
    notes = ["note", *(rng.choice(["", "two\nlines", "a, b; c", 'said "no"', "#\n# x"]) for _ in table.rows[1:])]
    return replace(table, rows=[[*row, note] for row, note in zip(table.rows, notes, strict=True)])


def reordered(table: Table, rng: Random) -> Table:
    order = list(range(len(table.rows[0])))
    rng.shuffle(order)
    return replace(table, rows=[[row[i] for i in order] for row in table.rows])


def header_variants(table: Table, rng: Random) -> Table:
    names = {
        "patient": ["Patient", "SUBJECT", "Patient ID", "subject-id", " id ", "patient_id:"],
        "analyte": ["Marker", "ANALYTE", "Test "], "value": ["Result", "VALUE", "Concentration"],
        "unit": ["Units", "UNIT"],
    }  # fmt: skip
    header = [rng.choice(names[name]) if name in names else name.replace(" [", "\n[") for name in table.rows[0]]
    return replace(table, rows=[header, *table.rows[1:]])


def units_row(table: Table, rng: Random) -> Table:
    if table.long:
        return table
    parts = [re.fullmatch(r"(.+?)(?: \[(.*)\])?", name) for name in table.rows[0]]
    names, units = [m[1] for m in parts if m], [m[2] or "" for m in parts if m]
    return replace(table, rows=[names, [rng.choice(["", "unit"]), *units[1:]], *table.rows[1:]])


def excel_text(table: Table, rng: Random) -> Table:
    return table.with_cells(lambda text: f'="{text}"' if text else text)


def look_alikes(table: Table, rng: Random) -> Table:
    def change(text: str) -> str:
        return (
            text.replace("<=", rng.choice("≤⩽≦"))
            .replace("<", rng.choice("＜﹤<"))
            .replace("..", rng.choice(["…", " to ", " .. "]))
        )

    return table.with_cells(change)


def blanks(table: Table, rng: Random) -> Table:
    return table.with_cells(lambda text: rng.choice([" ", "\u00a0", "  ", ""]) + text + rng.choice([" ", "\u00a0", ""]))


def title(table: Table, rng: Random) -> Table:
    return replace(table, above=("Cytokine panel", f"Date:{table.separator}2024-03-01", ""))


def unit_in_cell(table: Table, rng: Random) -> Table:
    if not table.long:
        return table
    rows = [[p, a, f"{v} {u}" if v not in ("", "NA") else v, ""] for p, a, v, u in table.rows[1:]]
    return replace(table, rows=[table.rows[0], *rows])


def broken_words(table: Table, rng: Random) -> Table:
    """Words of spreadsheets and instruments where a value was missing."""
    return table.with_cells(lambda text: rng.choice(["#N/A", "#DIV/0!", "---", "***"]) if text == "NA" else text)


def missing_column(table: Table, rng: Random) -> Table:
    gone = rng.randrange(len(table.rows[0]))
    return replace(table, rows=[row[:gone] + row[gone + 1 :] for row in table.rows])


def swapped_units(table: Table, rng: Random) -> Table:
    def swap(cell: str) -> str:
        match = re.fullmatch(r"(.+ \[)(.+)(\])", cell)
        return match[1] + SWAPPED[match[2]] + match[3] if match else SWAPPED.get(cell, cell)

    if table.long:
        return replace(table, rows=[table.rows[0], *([*row[:3], swap(row[3])] for row in table.rows[1:])])
    return replace(table, rows=[[swap(cell) for cell in table.rows[0]], *table.rows[1:]])


def thousands_points(table: Table, rng: Random) -> Table:
    """300.000 for three hundred thousand: the same text is three hundred elsewhere."""
    return table.with_cells(lambda text: _grouped(text, "."))


def dropped_rows(table: Table, rng: Random) -> Table:
    kept = [row for i, row in enumerate(table.rows) if not i or rng.random() < 0.7]
    return replace(table, rows=kept)


def duplicated_rows(table: Table, rng: Random) -> Table:
    rows = list(table.rows)
    rows.insert(rng.randint(1, len(rows)), rng.choice(rows[1:]))
    return replace(table, rows=rows)


def misspelt(table: Table, rng: Random) -> Table:
    rows = [list(row) for row in table.rows]
    i, j = (rng.randrange(1, len(rows)), 1) if table.long else (0, rng.randrange(1, len(rows[0])))
    word = rows[i][j]
    at = rng.randrange(len(word))
    rows[i][j] = word[:at] + rng.choice(["", "x", "1", word[at] * 2]) + word[at + 1 :]
    return replace(table, rows=rows)


def ragged(table: Table, rng: Random) -> Table:
    rows = [list(row) for row in table.rows]
    row = rng.choice(rows)
    if rng.random() < 0.5:
        del row[rng.randrange(len(row))]
    else:
        row.insert(rng.randint(0, len(row)), rng.choice(["", "7", "x"]))
    return replace(table, rows=rows)


def exchanged_cells(table: Table, rng: Random) -> Table:
    rows = [list(row) for row in table.rows]
    row = rng.choice(rows)
    i, j = rng.sample(range(len(row)), 2)
    row[i], row[j] = row[j], row[i]
    return replace(table, rows=rows)


def truncated(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content))]


def random_bytes(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 5)):
        changed[rng.randrange(len(changed))] = (
            rng.randrange(256) if rng.random() < 0.3 else rng.choice(b'0123456789.,;<>"#\t\n -eAmuL')
        )
    return bytes(changed)


def nuls(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + b"\x00" * rng.randint(1, 4) + content[at:]


def byte_order_marks(content: bytes, rng: Random) -> bytes:
    at = rng.choice([0, content.find(b"\n") + 1])
    return content[:at] + b"\xef\xbb\xbf" + content[at:]


def stray_quote(content: bytes, rng: Random) -> bytes:
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(content))
        content = content[:at] + b'"' + content[at:]
    return content


def appended(content: bytes, rng: Random) -> bytes:
    """The file twice over, as `cat` makes it."""
    return content + content


SPELLINGS: tuple[Callable[[Table, Random], Table], ...] = (
    as_it_is, encoding, foreign_letters, separator, decimal_comma, scientific, thousands, repeated_header, blank_lines,
    trailing_separators, empty_leading_column, quotes, quoted_lines, reordered, header_variants, units_row, excel_text,
    look_alikes, blanks, title, unit_in_cell, broken_words,
)  # fmt: skip
DAMAGES: tuple[Callable[[Table, Random], Table], ...] = (
    missing_column, swapped_units, thousands_points, dropped_rows, duplicated_rows, misspelt, ragged, exchanged_cells,
)  # fmt: skip
BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (
    truncated, random_bytes, nuls, byte_order_marks, stray_quote, appended,
)  # fmt: skip
# spellings that must be read, not refused
MUST = {"as_it_is", "separator", "repeated_header", "blank_lines", "empty_leading_column", "quotes", "quoted_lines",
        "reordered", "header_variants", "units_row", "excel_text", "look_alikes", "blanks", "title", "broken_words",
        "byte_order_marks", "unit_in_cell"}  # fmt: skip
# what a warning must say where values were changed by it
NAMED = re.compile(
    r"line break|quoted cell|decimal comma|separates thousands|read as|repeats the header|unit is taken|given at|"
    r"above the header|not read|unknown analyte|no analyte|note, no patient|are statistics|"
    r"taken as missing|character was lost|no value at all|disagrees"
)


def judge(kind: str, table: Table, content: bytes, path: Path) -> str:
    """Right, warned, refused, or a different valid file; anything else is an assertion."""
    path.write_bytes(content)
    try:
        file = read_panel(path, knowledge=KNOWLEDGE)
    except PanelError as error:
        assert str(path) in str(error), str(error)
        assert REMEDY.search(str(error)), str(error)
        assert kind not in MUST, str(error)
        return "refused"
    found = {
        (panel.patient, m.analyte): (m.censored, m.value, m.upper or 0.0)
        for panel in file.panels
        for m in panel.measurements.values()
        if m.place
    }
    for warning in file.warnings:
        assert str(path) in warning
    if same(found, table.truth):
        return "warned" if file.warnings else "right"
    assert kind not in MUST, (found, table.truth)
    if file.warnings:
        assert any(NAMED.search(w) for w in file.warnings), file.warnings
        return "warned"
    assert kind not in {f.__name__ for f in SPELLINGS}, (content, found, table.truth)
    assert same(found, naive(content, table)), (content, found, naive(content, table))
    return "another valid file"


def same(one: Truth, other: Truth) -> bool:
    return one.keys() == other.keys() and all(
        one[k][0] == other[k][0]
        and all(isclose(a, b, rel_tol=1e-9) for a, b in zip(one[k][1:], other[k][1:], strict=True))
        for k in one
    )


def naive(content: bytes, table: Table) -> Truth:
    """What a damaged file says to a reader of a dozen lines that believes every cell."""
    text = content.decode("utf-8-sig")
    lines = [line for line in io.StringIO(text, newline="") if not line.lstrip().startswith("#")]
    header, *rows = [row for row in csv.reader(lines, delimiter=table.separator) if any(cell.strip() for cell in row)]
    header = [" ".join(cell.split()) for cell in header]
    found: Truth = {}
    for row in rows:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        who = cells.pop("patient")
        if table.long:
            named = [(cells["analyte"], cells.get("unit", ""), cells["value"])]
        else:
            parts = ((re.fullmatch(r"(.+?)(?: ?[\[(](.*)[\])])?", name), cell) for name, cell in cells.items())
            named = [(m[1], m[2] or "", cell) for m, cell in parts if m]
        for name, unit, cell in named:
            numbers = [float(n) for part in cell.split("..") for n in re.findall(r"\.?\d[\d.]*(?:[eE][+-]?\d+)?", part)]
            if numbers:
                analyte = KNOWLEDGE.analyte(name).id
                low, high = (_own(analyte, n, unit) for n in (numbers[0], numbers[-1]))
                censored = "left" if "<" in cell else "right" if ">" in cell else "interval" if len(numbers) > 1 else ""
                if censored == "interval" and low == 0:
                    censored, low = "left", high
                found[who, analyte] = (censored, low, high if censored == "interval" else 0.0)
    return found


KINDS = [f.__name__ for f in (*SPELLINGS, *DAMAGES, *BYTES)]
BY_NAME = {f.__name__: f for f in (*SPELLINGS, *DAMAGES)}


def run(cases: int, folder: Path) -> dict[str, Counter[str]]:
    """As many cases of every kind; at least ``cases`` in all."""
    counts: dict[str, Counter[str]] = {}
    for kind in KINDS:
        counts[kind] = Counter()
        _run_kind(kind, -(-cases // len(KINDS)), folder / "panel.csv", counts[kind])
    return counts


def _run_kind(kind: str, cases: int, path: Path, counts: Counter[str]) -> None:
    @settings(max_examples=cases, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(tables())
    def each(made: tuple[Table, Random]) -> None:
        table, rng = made
        if kind in BY_NAME:
            table = BY_NAME[kind](table, rng)
            try:
                content = table.content()
            except UnicodeEncodeError:  # a code page without the micro sign or the letter
                reject()
        else:
            content = next(f for f in BYTES if f.__name__ == kind)(table.content(), rng)
        counts[judge(kind, table, content, path)] += 1

    each()


def report(counts: dict[str, Counter[str]]) -> str:
    outcomes = ("right", "warned", "refused", "another valid file")
    lines = [f"{'':22}" + "".join(f"{o:>20}" for o in outcomes)]
    for kind, found in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        lines.append(f"{kind:22}" + "".join(f"{found[o]:>20}" for o in outcomes))
    return "\n".join(lines)


def check(counts: dict[str, Counter[str]]) -> None:
    """The kinds really do what they are there for: none is refused throughout that should be read, and so on."""
    assert set(counts) == set(KINDS)
    for kind in ("as_it_is", "reordered", "quotes", "units_row"):
        assert counts[kind]["right"] > 0, kind
    for kind in ("decimal_comma", "encoding", "thousands", "title", "repeated_header", "unit_in_cell", "truncated"):
        assert counts[kind]["warned"] > 0, kind
    for kind in ("missing_column", "misspelt", "ragged", "nuls", "stray_quote", "swapped_units", "foreign_letters"):
        assert counts[kind]["refused"] > 0, kind
    assert counts["duplicated_rows"].keys() == {"refused"}


def test_five_hundred_mangled_files(tmp_path: Path) -> None:
    check(run(500, tmp_path))


@pytest.mark.slow
def test_ten_thousand_mangled_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = run(10_000, tmp_path)
    check(counts)
    with capsys.disabled():
        print(f"\n{report(counts)}")
