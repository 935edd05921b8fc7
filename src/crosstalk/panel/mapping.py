"""A map of a file: what its columns, tests, codes, dates and visits mean, where the file does not say it itself.

A map is a TOML file that people edit; `crosstalk read FILE --suggest-map map.toml` writes a first one. It is checked as
a study file is: unknown keys, names that are none and units that do not convert are errors with the file and the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crosstalk.errors import PanelError, UnitError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.limits import DEPTH, STUDY, TooDeepError, read_toml, shown
from crosstalk.panel.cells import without_thousands
from crosstalk.panel.entries import Entry
from crosstalk.panel.header import OF_VALUE, is_unit, split
from crosstalk.panel.occasions import Choice
from crosstalk.panel.values import FEMALE, MALE, Interpreter
from crosstalk.panel.vocabulary import BLOOD, fluid, parted, role, roles, squeeze, words
from crosstalk.units import parse_unit

__all__ = ["DATES", "OPEN", "FileMap", "Rule"]

OPEN = "?"  # what stands where a question is open
DATES = ("day month year", "month day year", "year month day")
SHOWN = 20  # problems that are listed
LISTED = 8


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class _Column(_Table):
    meaning: str = Field(alias="is")
    of: str = ""
    unit: str = ""
    specimen: str = ""
    codes: dict[str, str] = {}


class _Test(_Table):
    meaning: str = Field(alias="is")
    unit: str = ""
    specimen: str = ""
    codes: dict[str, str] = {}


class _File(_Table):
    dates: Literal["", "day month year", "month day year", "year month day"] = ""
    decimal: Literal["", ".", ","] = ""
    missing: list[str] = []
    specimen: str = ""
    occasion: str = ""


class _Map(_Table):
    file: _File = _File()
    columns: dict[str, str | _Column] = {}
    tests: dict[str, str | _Test] = {}
    visits: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """What one column or test is.

    Attributes
    ----------
    name : str
        As the map writes it.
    meaning : str
        A role of columns (``patient``, ``visit``, ``lod``, ...), the id of an analyte, ``keep`` or ``ignore``.
    of : str
        The analyte that a role of one value belongs to: whose ``lod``.
    unit, specimen : str
    codes : mapping of str to str
        Cells and what they mean.
    """

    name: str
    meaning: str
    of: str = ""
    unit: str = ""
    specimen: str = ""
    codes: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class FileMap:
    """A checked map; see the attributes of the same names in ``docs/your_file.md``."""

    path: str = ""
    columns: Mapping[str, Rule] = field(default_factory=dict)
    tests: Mapping[str, Rule] = field(default_factory=dict)
    visits: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    dates: str = ""
    decimal: str = ""
    specimen: str = ""
    occasion: str = ""

    @classmethod
    def read(cls, path: str | Path, knowledge: Knowledge | None = None) -> FileMap:
        """Read and check a map.

        Raises
        ------
        PanelError
            With one line per problem: file, line, key, what was received, what was expected.
        """
        file = Path(path)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise PanelError(f"{file}: cannot be read ({error.strerror}); expected a map in TOML") from None
        if len(content) > STUDY:
            raise PanelError(f"{file}: has {len(content)} bytes; a map has at most {STUDY}")
        try:
            text = content.decode("utf-8-sig")
            table = read_toml(text)
        except TooDeepError:
            raise PanelError(
                f"{file}: tables or lists stand more than {DEPTH} deep within each other, as in no map; mend the file"
            ) from None
        except ValueError as error:
            raise PanelError(f"{file}: is no TOML ({shown(error)}); mend that place, quote names with blanks") from None
        return cls.check(table, str(file), knowledge, text)

    @classmethod
    def check(
        cls, table: Mapping[str, Any], path: str = "the map", knowledge: Knowledge | None = None, text: str = ""
    ) -> FileMap:
        """Check a map that is no file.

        Parameters
        ----------
        table : mapping
            As TOML reads it.
        path, text : str
            For messages.

        Raises
        ------
        PanelError
        """
        try:
            found = _Map.model_validate(dict(table))
        except ValidationError as error:
            raise PanelError(_all([_explain(path, text, e) for e in error.errors()])) from None
        checker = _Checker(path, text, Interpreter(knowledge or load_knowledge()))
        columns = {squeeze(n): checker.column(n, c) for n, c in found.columns.items()}
        tests = {squeeze(n): checker.test(n, t) for n, t in found.tests.items()}
        checker.file(found.file)
        for name, label in found.visits.items():
            checker.answered(("visits", name), label)
        if checker.problems:
            raise PanelError(_all(checker.problems))
        visits = {words(name): label for name, label in found.visits.items()}
        f = found.file
        return cls(path, columns, tests, visits, frozenset(f.missing), f.dates, f.decimal, f.specimen, f.occasion)

    # What tables ask

    def header(self, place: str, texts: Sequence[str]) -> tuple[list[str], list[str], dict[int, Mapping[str, str]]]:
        """Columns as they are meant, those that are kept, and the codes of cells by position.

        Raises
        ------
        PanelError
            If the map names a column that the table does not have, or a unit that contradicts the header.
        """
        there = {squeeze(text): i for i, text in enumerate(texts) if text}
        lost = [rule.name for key, rule in self.columns.items() if key not in there]
        if lost:
            listed = ", ".join(shown(text) for text in texts if text)
            raise PanelError(
                f"{self.path}: columns {', '.join(map(repr, lost[:LISTED]))}: {place} has no such column; its columns "
                f"are {shown(listed, 400)}; correct the names, or take them out of the map"
            )
        meant, keep = list(texts), list[str]()
        codes: dict[int, Mapping[str, str]] = {}
        for key, rule in self.columns.items():
            i = there[key]
            if rule.codes:
                codes[i] = {k.strip(): v for k, v in rule.codes.items()}
            if rule.meaning == "keep":
                keep.append(texts[i])
            elif role(texts[i]) != rule.meaning or rule.of:
                meant[i] = self._text(place, texts[i], rule, {squeeze(text) for text in meant})
        return meant, keep, codes

    def _text(self, place: str, text: str, rule: Rule, taken: set[str]) -> str:
        """A header that says what the rule says."""
        if rule.meaning in roles():
            names = [f"{rule.of} {name}" if rule.of else name for name in roles()[rule.meaning]]
            return next((name for name in names if squeeze(name) not in taken), names[0])
        column = split(text)
        stated = column.unit
        if rule.unit and stated and is_unit(stated) and parse_unit(stated) != parse_unit(rule.unit):
            raise PanelError(
                f"{self.path}: columns > {rule.name} > unit: received {rule.unit}, and {place} says {stated} itself; "
                f"keep the one that is right"
            )
        unit = rule.unit or stated or parted(column.name)[1]
        specimen = rule.specimen or column.specimen
        return rule.meaning + (f" ({specimen})" if specimen else "") + (f" [{unit}]" if unit else "")

    # What entries of any format ask

    def apply(self, file: str, entries: Sequence[Entry]) -> tuple[list[Entry], list[str], list[str]]:
        """Entries as the map means them, problems and warnings."""
        found: list[Entry] = []
        problems: dict[str, str] = {}
        ignored: dict[str, int] = {}
        for e in entries:
            rule = self.tests.get(squeeze(e.analyte)) if self.tests else None
            if rule is not None:
                if rule.meaning == "ignore":
                    ignored[e.analyte] = ignored.get(e.analyte, 0) + 1
                    continue
                if rule.unit and e.unit and not _same(rule.unit, e.unit):
                    problems.setdefault(
                        f"{rule.name} {e.unit}",
                        f"{file}, {e.place}, {shown(e.analyte)}: has the unit {shown(e.unit)}, and {self.path} says "
                        f"{rule.unit}; keep the one that is right",
                    )
                e = e._replace(analyte=rule.meaning, unit=e.unit or rule.unit, specimen=e.specimen or rule.specimen)
                if rule.codes:
                    e = e._replace(value=rule.codes.get(e.value, rule.codes.get(e.value.removesuffix(".0"), e.value)))
            if self.decimal:
                value, lod, lloq, uloq = (
                    without_thousands(text, self.decimal) for text in (e.value, e.lod, e.lloq, e.uloq)
                )
                e = e._replace(value=value, lod=lod, lloq=lloq, uloq=uloq)
            if e.value in self.missing:
                e = e._replace(value="")
            if self.specimen and not e.specimen:
                e = e._replace(specimen=self.specimen)
            if self.visits and e.visit:
                e = e._replace(visit=self.visits.get(words(e.visit), e.visit))
            found.append(e)
        told = [f"{file}: left out by {self.path}: {', '.join(map(shown, ignored))}"] if ignored else []
        return found, list(problems.values()), told


def _same(one: str, other: str) -> bool:
    return is_unit(one) and is_unit(other) and parse_unit(one) == parse_unit(other)


@dataclass
class _Checker:
    """Checks what pydantic cannot: names, units, fluids, and questions that are still open."""

    path: str
    text: str
    interpreter: Interpreter
    problems: list[str] = field(default_factory=list)

    def wrong(self, key: Sequence[str], message: str) -> None:
        self.problems.append(f"{_place(self.path, self.text, key)}: {message}")

    def answered(self, key: Sequence[str], value: str, expected: str = "an answer") -> bool:
        """Whether a value is no open question."""
        if value.strip() == OPEN:
            self.wrong(key, f"is still '{OPEN}'; write {expected}")
            return False
        return True

    def column(self, name: str, given: str | _Column) -> Rule:
        c = _Column.model_validate({"is": given}) if isinstance(given, str) else given
        key = ("columns", name)
        analyte = self.meaning(key, c.meaning, roles=True)
        of = ""
        if c.of:
            owner = self.interpreter.find(c.of)
            if owner is None or c.meaning not in OF_VALUE:
                self.wrong(
                    (*key, "of"), f"received '{shown(c.of)}'; expected an analyte, beside is = 'lod' and the like"
                )
            else:
                of = owner.id
        self.unit(key, c.unit, analyte)
        self.fluid(key, c.specimen)
        self.codes(key, c.codes, analyte)
        return Rule(name, analyte.id if analyte else c.meaning, of, c.unit, c.specimen, c.codes)

    def test(self, name: str, given: str | _Test) -> Rule:
        t = _Test.model_validate({"is": given}) if isinstance(given, str) else given
        key = ("tests", name)
        analyte = self.meaning(key, t.meaning, roles=False)
        self.unit(key, t.unit, analyte)
        self.fluid(key, t.specimen)
        self.codes(key, t.codes, analyte)
        return Rule(name, analyte.id if analyte else t.meaning, "", t.unit, t.specimen, t.codes)

    def codes(self, key: tuple[str, ...], codes: Mapping[str, str], analyte: Analyte | None) -> None:
        sex = analyte is not None and analyte.covariate == "female"
        expected = "male or female, or nothing for missing" if sex else "what it means, or nothing for missing"
        for code, value in codes.items():
            where = (*key, "codes", code)
            if self.answered(where, value, expected) and sex and value and value.lower() not in FEMALE | MALE:
                self.wrong(where, f"received '{shown(value)}'; expected {expected}")

    def meaning(self, key: tuple[str, ...], text: str, *, roles: bool) -> Analyte | None:
        """The analyte that is meant; None for a role, for ``keep`` and ``ignore``, and for what is none of them."""
        other = "keep" if roles else "ignore"
        if not self.answered(key, text, f"an analyte, or {other}") or text == other:
            return None
        if roles and text in _roles():
            return None
        found = self.interpreter.find(text)
        if found is None:
            kinds = (
                f"a role of columns ({', '.join(_roles())}), an analyte, or keep" if roles else "an analyte, or ignore"
            )
            self.wrong(key, f"received '{shown(text)}'; expected {kinds}; `crosstalk analytes` lists the analytes")
        return found

    def unit(self, key: tuple[str, ...], unit: str, analyte: Analyte | None) -> None:
        if not unit or not self.answered((*key, "unit"), unit, "the unit that the laboratory reports"):
            return
        if analyte is None:
            self.wrong((*key, "unit"), "only an analyte has a unit; take it out")
            return
        try:
            self.interpreter.rule(analyte, unit)
        except (PanelError, UnitError) as error:
            self.wrong((*key, "unit"), str(error))

    def fluid(self, key: tuple[str, ...], text: str) -> None:
        if text and self.answered((*key, "specimen"), text, "serum, plasma or blood") and fluid(text) == "unknown":
            self.wrong((*key, "specimen"), f"received '{shown(text)}'; expected {', '.join(BLOOD)} or another fluid")

    def file(self, given: _File) -> None:
        self.fluid(("file",), given.specimen)
        if given.occasion and self.answered(("file", "occasion"), given.occasion, "first, last or each"):
            try:
                Choice.read(given.occasion)
            except UsageError as error:
                self.wrong(("file", "occasion"), str(error))


def _roles() -> list[str]:
    return list(roles())


def _explain(path: str, text: str, error: Any) -> str:
    """One line of what pydantic found."""
    key = [str(k) for k in error["loc"] if k not in ("_Column", "_Test", "str")]
    received = shown(str(error["input"])) if not isinstance(error["input"], dict) else "a table"
    if error["type"] == "extra_forbidden":
        message = "is no key of a map; take it out or correct its name"
    elif error["type"] == "missing":
        message = "is missing; say what it is with is = '...'"
    elif error["type"] == "literal_error" and received == OPEN:
        message = f"is still '{OPEN}'; write {error['ctx']['expected']}"
    elif error["type"] == "literal_error":
        message = f"received '{received}'; expected {error['ctx']['expected']}"
    else:
        message = f"received {received}; {error['msg'][:1].lower()}{error['msg'][1:]}"
    return f"{_place(path, text, key)}: {message}"


def _place(path: str, text: str, key: Sequence[str]) -> str:
    line = _line(text, key)
    return f"{path}{f', line {line}' if line else ''}, {' > '.join(map(shown, key))}"


def _line(text: str, key: Sequence[str]) -> int:
    """The line of a key: that of its own name within its table; 0 where it is not found."""
    start = 0
    lines = text.splitlines()
    for part in key:
        own = re.compile(rf"""(?:^|[\s\[.{{,"']){re.escape(part)}(?:["']?\s*(?:=|\]|\.|$))""")
        start = next((i for i in range(max(start - 1, 0), len(lines)) if own.search(lines[i])), -1) + 1
        if not start:
            return 0
    return start


def _all(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n  ".join([f"{len(problems)} problems of the map; nothing was read:", *problems[:SHOWN], *more])
