"""CDISC SDTM: the laboratory data set LB, with DM and QS beside it; CSV, Excel or SAS transport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.coded import Coded
from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.rows import Row, Rows, beside_file, decimal_of, rows_of

__all__ = ["FORMATS", "read"]

NEEDED = ("studyid", "domain", "usubjid", "lbtestcd")
SEXES = {"M": "male", "F": "female", "U": "", "UNDIFFERENTIATED": ""}
DONE = ("", "COMPLETED")


def read(path: Path, wanted: Wanted) -> Reading:
    """Read LB (SDTM Implementation Guide 3): results as collected, or the standardised ones where those are missing.

    Raises
    ------
    PanelError
        If the data set is broken.
    """
    found = _data(path, NEEDED)
    coded = Coded(wanted.knowledge)
    entries = list(_laboratory(found, coded))
    decimal = decimal_of(found, {e.value: e.place for e in entries})
    for stem, needed, more in (("qs", ("usubjid", "qstestcd"), _questions), ("dm", ("usubjid", "sex"), _people)):
        beside = beside_file(path, stem)
        if beside is not None:
            other = _data(beside, needed)
            found.problems += other.problems
            found.warnings += other.warnings
            entries += more(other, coded, {e.patient for e in entries})
    if beside_file(path, "dm") is None:
        found.warnings.append(f"{path}: no data set DM stands beside it: sex and age are unknown")
    return Reading(entries, found.problems, [*found.warnings, *coded.told(str(path))], found.content, decimal)


def _data(path: Path, needed: tuple[str, ...]) -> Rows:
    if path.suffix.lower() != ".xpt":
        return rows_of(path, needed)
    import pandas as pd

    try:
        table = pd.read_sas(path, format="xport", encoding="utf-8")
    except (ValueError, TypeError, OSError, KeyError, IndexError, UserWarning) as error:
        raise PanelError(f"{path}: cannot be read as a SAS transport file ({error}); export it as CSV") from None
    columns = [str(c).lower() for c in table.columns]
    if not set(needed) <= set(columns):
        raise PanelError(f"{path}: lacks one of {', '.join(needed).upper()}; export the data set anew")
    rows = [
        Row(f"row {i + 1}", {c: _text(v) for c, v in zip(columns, row, strict=True)})
        for i, row in enumerate(table.itertuples(index=False, name=None))
    ]
    return Rows(path, tuple(columns), rows, content=path.read_bytes())


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value).strip()


def _laboratory(found: Rows, coded: Coded) -> Iterator[Entry]:
    for row in found.rows:
        name = coded.name(row.get("lbloinc") or row.get("lbtestcd"), row.get("lbtest"), row.get("lbtestcd"))
        if not name:
            continue
        where = f"{found.path}, {row.place}, {row.get('usubjid') or 'no USUBJID'}, {name}"
        if not row.get("usubjid"):
            found.problems.append(f"{where}: names no subject; fill USUBJID")
            continue
        status = row.get("lbstat").upper()
        if status not in DONE and status != "NOT DONE":
            found.problems.append(f"{where}: LBSTAT is '{status}'; expected NOT DONE or nothing")
            continue
        value, unit = _result(row)
        if status == "NOT DONE" and value:
            found.problems.append(f"{where}: LBSTAT says NOT DONE, and the result is '{value}'; correct one")
            continue
        if row.get("lbderfl", "lbdrvfl").upper() == "Y":
            continue  # derived from other records
        fasted = row.get("lbfast").upper()
        state = "fasting" if fasted == "Y" else "not fasting" if fasted == "N" else ""
        yield Entry(
            row.place, row.get("usubjid"), name, value, unit,
            ", ".join(filter(None, (row.get("lbspec"), state))), row.get("lbmethod"),
            lloq=row.get("lblloq"), uloq=row.get("lbuloq"), visit=row.get("visit") or row.get("visitnum"),
            date=row.get("lbdtc"),
        )  # fmt: skip


def _result(row: Row) -> tuple[str, str]:
    """Value and unit: as collected, else standardised."""
    if row.get("lborres"):
        return row.get("lborres"), row.get("lborresu")
    return row.get("lbstresc", "lbstresn"), row.get("lbstresu")


def _questions(found: Rows, coded: Coded, subjects: set[str]) -> Iterator[Entry]:
    """Totals of symptom scales."""
    for row in found.rows:
        name = coded.name("", row.get("qstest"), row.get("qstestcd"))
        if name and row.get("usubjid") in subjects:
            value = row.get("qsstresn", "qsstresc", "qsorres")
            yield Entry(f"{found.path.name}, {row.place}", row.get("usubjid"), name, value, "",
                        visit=row.get("visit") or row.get("visitnum"), date=row.get("qsdtc"))  # fmt: skip


def _people(found: Rows, coded: Coded, subjects: set[str]) -> Iterator[Entry]:
    for row in found.rows:
        who, place = row.get("usubjid"), f"{found.path.name}, {row.place}"
        if who not in subjects:
            continue
        sex = row.get("sex")
        yield Entry(place, who, "sex", SEXES.get(sex.upper(), sex), "")
        unit = row.get("ageu").upper()
        if row.get("age") and unit in ("YEARS", "YEAR", ""):
            yield Entry(place, who, "age", row.get("age"), "a")
        elif row.get("age"):
            found.warnings.append(f"{found.path}, {row.place}: AGE is in {unit}, not in years; left out")


def _sign(look: Look) -> bool:
    if look.start.startswith(b"HEADER RECORD*******LIBRARY HEADER"):
        return b"LBTESTCD" in look.start
    return look.holds(*NEEDED)


FORMATS = (Format("cdisc", "CDISC SDTM LB, with DM and QS beside it (CSV, xlsx, XPT)", _sign, read,
                   beside=("dm", "qs"), rank=8),)  # fmt: skip
