"""OMOP CDM 5: MEASUREMENT, with PERSON, OBSERVATION and CONCEPT beside it; CSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.coded import Coded, system_of
from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.header import is_unit
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.rows import Row, Rows, age, beside_file, decimal_of, rows_of
from crosstalk.units import parse_unit

__all__ = ["FORMATS", "read"]

# concepts of the domains Meas Value Operator and Gender (ohdsi.github.io/CommonDataModel/cdm54.html)
OPERATORS = {"4171756": "<", "4171754": "<=", "4172703": "", "4171755": ">=", "4172704": ">", "0": "", "": ""}
SIGNS = {"<": "<", "<=": "<=", "=": "", ">=": ">=", ">": ">"}
SEXES = {"8507": "male", "8532": "female", "0": "", "": ""}
NAMES = {"m": "male", "male": "male", "f": "female", "female": "female", "w": "female"}
TABLES = ("measurement", "observation")


@dataclass
class _Concepts:
    """Codes and names of concepts; none where the vocabulary is not there."""

    codes: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)  # code, name, vocabulary

    @classmethod
    def read(cls, path: Path | None) -> _Concepts:
        if path is None:
            return cls()
        rows = rows_of(path, ("concept_id", "concept_code", "concept_name", "vocabulary_id")).rows
        return cls({_id(r.cells["concept_id"]): (r.cells["concept_code"], r.cells["concept_name"],
                                                 r.cells["vocabulary_id"]) for r in rows})  # fmt: skip

    def loinc(self, id_: str) -> str:
        code, _, vocabulary = self.codes.get(_id(id_), ("", "", ""))
        return code if vocabulary == "LOINC" else ""

    def name(self, id_: str) -> str:
        return self.codes.get(_id(id_), ("", "", ""))[1]

    def unit(self, id_: str) -> str:
        code, name, vocabulary = self.codes.get(_id(id_), ("", "", ""))
        return code if vocabulary == "UCUM" else name


def _id(text: str) -> str:
    return text.removesuffix(".0")


def read(path: Path, wanted: Wanted) -> Reading:
    """Read a folder of OMOP tables, or the file MEASUREMENT with the others beside it.

    Codes are those of the source (``measurement_source_value``) where they are LOINC, or of CONCEPT.

    Raises
    ------
    PanelError
        If a table is broken.
    """
    main = beside_file(path / "x", "measurement") if path.is_dir() else path
    if main is None:
        raise PanelError(f"{path}: holds no table MEASUREMENT; export it as CSV or Parquet")
    concepts = _Concepts.read(beside_file(main, "concept"))
    coded = Coded(wanted.knowledge)
    tables = [main]
    if (more := beside_file(main, "observation")) is not None:
        tables.append(more)
    entries: list[Entry] = []
    problems: list[str] = []
    warnings: list[str] = []
    content = b""
    decimal = "."
    for table in tables:
        kind = "measurement" if table == main else "observation"
        found = rows_of(table, ("person_id", f"{kind}_concept_id"))
        entries += _entries(found, kind, concepts, coded)
        numbers = {r.get("value_as_number"): r.place for r in found.rows}
        decimal = decimal_of(found, numbers) if table == main else decimal
        problems += found.problems
        warnings += found.warnings
        content += found.content
    if not concepts.codes:
        warnings.append(f"{path}: no table CONCEPT stands beside it: only codes of the source that are LOINC are known")
    people = beside_file(main, "person")
    if people is None:
        warnings.append(f"{path}: no table PERSON stands beside it: sex and age are unknown")
    else:
        rows = rows_of(people, ("person_id", "gender_concept_id", "year_of_birth"))
        problems += rows.problems
        warnings += rows.warnings
        entries += _people(rows, entries)
    return Reading(entries, problems, [*warnings, *coded.told(str(path))], content, decimal)


def _entries(found: Rows, kind: str, concepts: _Concepts, coded: Coded) -> Iterator[Entry]:
    for row in found.rows:
        source, concept = row.get(f"{kind}_source_value"), row.get(f"{kind}_concept_id")
        loinc, long = concepts.loinc(concept), concepts.name(concept)
        name = coded.name(loinc or source, long)
        if not name:
            continue
        try:
            yield _entry(found, row, kind, concepts, name, long)
        except PanelError as error:
            found.problems.append(f"{found.path}, {row.place}, {name}: {error}")


def _entry(found: Rows, row: Row, kind: str, concepts: _Concepts, name: str, long: str) -> Entry:
    if not row.get("person_id"):
        raise PanelError("names no person; fill the column person_id")
    value, sign = row.get("value_as_number"), _operator(row, concepts)
    if not value:
        text = row.get("value_source_value", "value_as_string")
        value, sign = (text, sign) if not sign or text.startswith(("<", ">")) else (f"{sign}{text}" if text else "", "")
    elif value.startswith("-") is False and (text := row.get("value_source_value"))[:1] in ("<", ">") and not sign:
        raise PanelError(f"value_source_value is '{text}' and value_as_number {value} without an operator; correct one")
    return Entry(
        row.place if kind == "measurement" else f"{found.path.name}, {row.place}",
        _id(row.get("person_id")), name, f"{sign}{value}" if value else "", _unit(row, concepts), system_of(long),
        date=row.get(f"{kind}_datetime", f"{kind}_date"),
    )  # fmt: skip


def _operator(row: Row, concepts: _Concepts) -> str:
    id_ = _id(row.get("operator_concept_id"))
    if id_ in OPERATORS:
        return OPERATORS[id_]
    sign = SIGNS.get(concepts.name(id_))
    if sign is None:
        raise PanelError(f"operator_concept_id {id_} is no operator that is known; expected one of <, <=, =, >=, >")
    return sign


def _unit(row: Row, concepts: _Concepts) -> str:
    source, concept = row.get("unit_source_value"), concepts.unit(row.get("unit_concept_id"))
    if source and concept and is_unit(source) and is_unit(concept) and parse_unit(source) != parse_unit(concept):
        raise PanelError(f"unit_source_value is {source} and the concept of the unit {concept}; correct one of them")
    if source and is_unit(source):
        return source
    return concept or source


def _people(people: Rows, entries: list[Entry]) -> Iterator[Entry]:
    days: dict[str, dict[str, None]] = {}
    for e in entries:
        days.setdefault(e.patient, {})[e.date[:10]] = None
    for row in people.rows:
        who = _id(row.get("person_id"))
        if who not in days:
            continue
        place = f"{people.path.name}, {row.place}"
        sex = SEXES.get(_id(row.get("gender_concept_id")))
        text = sex if sex else NAMES.get(row.get("gender_source_value").lower(), row.get("gender_source_value"))
        yield Entry(place, who, "sex", text, "")
        born = row.get("birth_datetime")[:10] or _born(row)
        for day in days[who]:
            if years := age(born, day):
                yield Entry(place, who, "age", years, "a", date=day)


def _born(row: Row) -> str:
    """The date of birth; the middle of the year or month where no more is given."""
    year, month, day = (_id(row.get(f"{part}_of_birth")) for part in ("year", "month", "day"))
    return f"{year}-{(month or '7').zfill(2)}-{(day or ('15' if month else '1')).zfill(2)}" if year else ""


def _sign(look: Look) -> bool:
    if look.folder:
        return any(p.stem.lower() == "measurement" for p in look.path.iterdir())
    if look.start.startswith(b"PAR1"):
        return look.path.stem.lower() == "measurement"
    return look.holds("person_id", "measurement_concept_id")


FORMATS = (
    Format(
        "omop",
        "OMOP MEASUREMENT, with PERSON, OBSERVATION, CONCEPT beside it (CSV, Parquet)",
        _sign,
        read,
        beside=("person", "observation", "concept"),
        rank=12,
    ),
)
