"""Tab-separated files of the knowledge: parameters, references, meanings of variables and reference ranges.

Each reader refuses a bad line with a `KnowledgeError` that names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from crosstalk.errors import KnowledgeError
from crosstalk.knowledge.files import read_text, validated
from crosstalk.knowledge.people_schema import ReferenceTable
from crosstalk.knowledge.records import Analyte, Kind, Parameter, ReferenceRange, Role, Source
from crosstalk.knowledge.schema import DOI

__all__ = [
    "PARAMETER_COLUMNS",
    "RANGE_COLUMNS",
    "REFERENCE_COLUMNS",
    "VARIABLE_COLUMNS",
    "read_meanings",
    "read_parameters",
    "read_ranges",
    "read_references",
]

PARAMETER_COLUMNS = (
    "id", "module", "value", "unit", "lower", "upper", "prior", "role", "kind", "doi", "place", "meaning",
)  # fmt: skip


REFERENCE_COLUMNS = ("key", "doi", "citation")


VARIABLE_COLUMNS = ("id", "meaning")


RANGE_COLUMNS = (
    "analyte", "assay", "specimen", "sex", "age_from", "age_below", "bmi_from", "bmi_below", "n", "n_effective",
    "p2_5", "p25", "median", "p75", "p97_5", "median_se", "kind", "doi", "place",
)  # fmt: skip


_PRIOR = re.compile(r"fixed|(lognormal|normal)\((\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\)")


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a tab-separated table; lines that start with ``#`` and empty lines are skipped."""
    numbered = enumerate(read_text(path).splitlines(), 1)
    lines = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if not lines or tuple(lines[0][1].split("\t")) != columns:
        raise KnowledgeError(f"{path}: line {lines[0][0] if lines else 1}: expected the columns {', '.join(columns)}")
    for number, line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise KnowledgeError(
                f"{path}: line {number}: got {len(cells)} cells, expected {len(columns)}; check the tabs of the line"
            )
        yield number, {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}


def read_parameters(path: Path) -> dict[str, Parameter]:
    """The parameters by their id."""
    parameters: dict[str, Parameter] = {}
    for number, row in _rows(path, PARAMETER_COLUMNS):
        parameter = _parameter(row, f"{path}: line {number}: parameter {row['id']!r}")
        if parameter.id in parameters:
            raise KnowledgeError(f"{path}: line {number}: parameter {parameter.id!r} is already defined; drop one row")
        parameters[parameter.id] = parameter
    return parameters


def _parameter(row: Mapping[str, str], place: str) -> Parameter:
    numbers: dict[str, float] = {}
    for column in ("value", "lower", "upper"):
        try:
            numbers[column] = float(row[column])
        except ValueError:
            raise KnowledgeError(f"{place}: {column} is {row[column]!r}: expected a number") from None
    if not numbers["lower"] <= numbers["value"] <= numbers["upper"]:
        raise KnowledgeError(
            f"{place}: value {row['value']} lies outside lower .. upper ({row['lower']} .. {row['upper']})"
        )
    for column in ("id", "module", "unit", "meaning"):
        if not row[column]:
            raise KnowledgeError(f"{place}: {column} is empty; fill it in")
    prior = _PRIOR.fullmatch(row["prior"])
    if prior is None or (prior[2] and float(prior[2]) <= 0):
        raise KnowledgeError(f"{place}: prior is {row['prior']!r}: expected fixed, lognormal(SD) or normal(SD), SD > 0")
    if prior[1] == "lognormal" and numbers["value"] <= 0:
        raise KnowledgeError(f"{place}: prior is lognormal and value {row['value']}: expected a value above 0")
    for column, allowed in (("role", get_args(Role)), ("kind", get_args(Kind))):
        if row[column] not in allowed:
            raise KnowledgeError(f"{place}: {column} is {row[column]!r}: expected one of {', '.join(allowed)}")
    if row["doi"] and DOI.fullmatch(row["doi"]) is None:
        raise KnowledgeError(f"{place}: doi is {row['doi']!r}: expected the bare form 10.1234/abc")
    if row["kind"] == "assumed" and row["doi"]:
        raise KnowledgeError(f"{place}: kind is assumed but doi is {row['doi']!r}: drop the DOI or correct the kind")
    if row["kind"] == "measured" and not (row["doi"] or row["place"]):
        raise KnowledgeError(f"{place}: kind is measured without doi and place: name the source or say assumed")
    return Parameter(
        id=row["id"],
        module=row["module"],
        unit=row["unit"],
        prior=row["prior"],
        role=cast(Role, row["role"]),
        meaning=row["meaning"],
        source=Source(kind=cast(Kind, row["kind"]), place=row["place"], doi=row["doi"]),
        **numbers,
    )


def read_references(path: Path) -> dict[str, str]:
    """The citations by DOI."""
    references: dict[str, str] = {}
    for number, row in _rows(path, REFERENCE_COLUMNS):
        place = f"{path}: line {number}"
        if DOI.fullmatch(row["doi"]) is None:
            raise KnowledgeError(f"{place}: doi is {row['doi']!r}: expected the bare form 10.1234/abc")
        if row["doi"] in references:
            raise KnowledgeError(f"{place}: {row['doi']} is already listed; drop one row")
        references[row["doi"]] = row["citation"]
    return references


def read_meanings(path: Path) -> dict[str, str]:
    """What each variable of the model means, by its id."""
    meanings: dict[str, str] = {}
    for number, row in _rows(path, VARIABLE_COLUMNS):
        if not row["id"] or not row["meaning"]:
            raise KnowledgeError(f"{path}: line {number}: id or meaning is empty; fill it in")
        if row["id"] in meanings:
            raise KnowledgeError(f"{path}: line {number}: {row['id']!r} is already explained; drop one row")
        meanings[row["id"]] = row["meaning"]
    return meanings


def read_ranges(path: Path, analytes: Mapping[str, Analyte]) -> dict[str, list[ReferenceRange]]:
    """Read the ranges computed from surveys, by analyte; they come before those of ``analytes.toml``."""
    ranges: dict[str, list[ReferenceRange]] = {}
    for number, row in _rows(path, RANGE_COLUMNS):
        id_, place = row.pop("analyte"), f"{path}: line {number}"
        if id_ not in analytes:
            raise KnowledgeError(f"{place}: analyte {id_!r} is none of analytes.toml; correct the name")
        content: dict[str, Any] = {key: _cell(key, text) for key, text in row.items() if text or key == "place"}
        for key in ("age", "bmi"):
            content[key] = [content.pop(f"{key}_from", None), content.pop(f"{key}_below", None)]
        range_ = validated(ReferenceTable, content, path, f"line {number}").record()
        lower, upper = analytes[id_].plausible
        if range_.p2_5 < lower or range_.p97_5 > upper:
            raise KnowledgeError(f"{place}: the range [{range_.p2_5}, {range_.p97_5}] leaves plausible of {id_!r}")
        ranges.setdefault(id_, []).append(range_)
    return ranges


def _cell(column: str, text: str) -> str | int | float:
    if column in ("assay", "specimen", "sex", "kind", "doi", "place"):
        return text
    try:
        return int(text) if column == "n" else float(text)
    except ValueError:
        return text  # the schema says what it expected
