"""One cell to one measurement: number, censoring, unit, plausibility; every refusal says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, log, sqrt
from sys import intern

from crosstalk.errors import PanelError, UnitError
from crosstalk.knowledge.loader import Knowledge, load_knowledge, normal_name
from crosstalk.knowledge.records import Analyte
from crosstalk.limits import shown
from crosstalk.panel.cells import PLAIN, Cell, read_cell, read_number
from crosstalk.panel.entries import Entry
from crosstalk.panel.header import NAME
from crosstalk.panel.items import item_of
from crosstalk.panel.plausibility import LEAST_POINT, fine, suspicion
from crosstalk.panel.records import Censoring, Measurement, Quality
from crosstalk.panel.vocabulary import BLOOD, FED, also, fasting, fluid
from crosstalk.units import is_bare, line, parse_unit

__all__ = ["Interpreter", "knower", "slip"]

FEMALE = {
    "f",
    "female",
    "woman",
    "w",
    "weiblich",
    "frau",
    "femme",
    "feminin",
    "féminin",
    "mujer",
    "femenino",
    "donna",
    "femmina",
}
MALE = {
    "m",
    "male",
    "man",
    "männlich",
    "maennlich",
    "mann",
    "homme",
    "masculin",
    "hombre",
    "masculino",
    "uomo",
    "maschio",
}
ANOTHER = {"inulin"}  # quantities whose names are a letter away from an analyte's
HINTED = 20  # unknown names that are searched for alike ones; more are never shown
OFTEN = 5  # characters of a cell that is likely to stand in a file many times
_NUMBER = re.compile(r"\d+$")
YES = {"yes", "y", "true", "1"}
QUALITY: dict[str, Quality] = {
    **dict.fromkeys(("", "ok", "pass", "passed", "good"), ""),
    **dict.fromkeys(("doubtful", "warn", "warning"), "doubtful"),
    **dict.fromkeys(("failed", "fail"), "failed"),
}


@dataclass
class Interpreter:
    """Reads cells with a knowledge base; caches names, units and limits, so that large files are quick.

    Raises `PanelError` without the place of the cell, which the caller knows. What was assumed is kept in ``assumed``
    (words: place of the first and number of cells), and all that concerns one value in ``notes`` (patient: sentences).
    """

    knowledge: Knowledge
    decimal: str = "."
    assumed: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    _names: dict[str, Analyte | PanelError] = field(default_factory=dict)
    _rules: dict[tuple[str, str], tuple[float, float] | PanelError] = field(default_factory=dict)
    _fine: dict[str, tuple[float, float]] = field(default_factory=dict)
    remedy: str = "If the value is right, add a column confirmed with yes"
    _searched: int = 0

    def analyte(self, name: str) -> Analyte:
        """The analyte of a name or alias."""
        if not name.strip():
            raise PanelError("no analyte; name what was measured")
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = self._known(name) or self._unknown(name)
        if isinstance(found, PanelError):
            raise found
        return found

    def find(self, name: str) -> Analyte | None:
        """The analyte of a name; none where it is no analyte's."""
        found = self._names.get(name)
        if found is None:
            found = self._known(name)
            if found is not None:
                self._names[name] = found
        return None if isinstance(found, PanelError) else found

    def _known(self, name: str) -> Analyte | None:
        """Without a search for names alike, so that thousands of columns are quick."""
        if not name.strip():
            return None
        return self.knowledge.find_analyte(name) or self.knowledge.analytes.get(also(name))

    def _unknown(self, name: str) -> PanelError:
        self._searched += 1
        near = self._near(name) if self._searched <= HINTED and len(name) <= NAME else ""
        return PanelError(f"unknown analyte '{shown(name)}'{near}; `crosstalk analytes` lists what a panel may hold")

    def knows(self, name: str) -> bool:
        """Whether a name is that of an analyte."""
        return self.find(name) is not None

    def stranger(self, name: str) -> str:
        """What is to be said of a name that is no analyte's."""
        try:
            self.analyte(name)
        except PanelError as error:
            return str(error)
        return ""

    def _near(self, name: str) -> str:
        """At most three names that it may be a slip of the pen for."""
        names, plain = self.knowledge.analyte_names, normal_name(name)
        found = list(dict.fromkeys(id_ for known, id_ in names.items() if slip(plain, known)))[:3]
        return f": did you mean {' or '.join(found)}?" if found else ""

    @staticmethod
    def agrees(entry: Entry) -> bool:
        """Whether an extreme value was confirmed."""
        return entry.confirmed.strip().lower() in YES

    def other_fluid(self, entry: Entry, analyte: Analyte) -> str:
        """Why a value is none of blood: another fluid, or one that is not known; "" where it is of blood."""
        if analyte.kind != "laboratory" or not entry.specimen:
            return ""
        found = fluid(entry.specimen)
        if found in BLOOD or not found or (found == "unknown" and fasting(entry.specimen) is not None):
            return ""
        if found == "unknown":
            return (
                f"measured in '{shown(entry.specimen, 40)}', which is not known as blood; write serum, plasma or blood"
            )
        return f"measured in another fluid ({found}) than {analyte.specimen or 'blood'}"

    @staticmethod
    def _specimen(analyte: Analyte, entry: Entry) -> str:
        """The fluid as ranges name it, and whether the person had fasted, where that matters."""
        found = fluid(entry.specimen) if entry.specimen else ""
        if analyte.kind != "laboratory":
            return entry.specimen
        # serum and plasma are drawn as blood: that says nothing against the analyte's own specimen
        name = found if found in ("serum", "plasma") or (found == "blood" and analyte.specimen == "blood") else ""
        said = fasting(entry.specimen)
        if said is None and analyte.id in FED:
            said = fasting(entry.analyte)
        state = "" if said is None else "fasting" if said else "not fasting"
        return ", ".join(filter(None, (name, state)))

    def _limit(self, analyte: Analyte, text: str, what: str, rule: tuple[float, float]) -> float:
        """A limit in the analyte's unit; it may have a unit of its own behind the number."""
        number, _, unit = text.strip().partition(" ")
        slope, intercept = self.rule(analyte, unit) if unit else rule
        return slope * self._plain(number, what) + intercept

    def _above(
        self, entry: Entry, analyte: Analyte, found: tuple[float, float | None, Censoring], rule: tuple[float, float]
    ) -> tuple[float, float | None, Censoring]:
        """A number above the upper limit of quantification says only that the truth lies above it."""
        uloq = self._limit(analyte, entry.uloq, "uloq", rule)
        value, _, censored = found
        if censored in ("left", "interval") or value <= uloq:
            return found
        self._note(entry, f"{analyte.id} at {entry.place} is taken as above its uloq of {uloq:g} {analyte.unit}.")
        return uloq, None, "right"

    def time(self, entry: Entry) -> float:
        """Hours of an entry; 0 where it gives none."""
        return self._plain(entry.time, "time") if entry.time else 0.0

    def measurement(self, entry: Entry, analyte: Analyte, time: float) -> Measurement | None:
        """Read one cell; None where it is empty."""
        if analyte.covariate == "female":
            return self._sex(entry, analyte, time)
        text = entry.value
        number = float(text) if self.decimal == "." and PLAIN.fullmatch(text) else -1.0
        cell = Cell("number", number) if 0 <= number < inf else read_cell(text, self.decimal)
        if cell.assumed:
            self.assume(cell.assumed, entry, analyte)
        if cell.kind == "missing":
            return None
        unit = self._unit(entry, cell, analyte) if cell.unit else entry.unit or self._usual(entry, analyte)
        _, intercept = rule = self.rule(analyte, unit)
        lod = self._limit(analyte, entry.lod, "lod", rule) if entry.lod else None
        lloq = self._limit(analyte, entry.lloq, "lloq", rule) if entry.lloq else None
        if lod is not None and lloq is not None and lod > lloq:
            raise PanelError(f"lod {entry.lod} lies above lloq {entry.lloq}; the columns may be swapped; correct them")
        value, upper, censored = self._bounds(entry, analyte, cell, rule, lod, lloq)
        if entry.uloq:
            value, upper, censored = self._above(entry, analyte, (value, upper, censored), rule)
        self._plausible(analyte, value, upper, censored, entry)
        quality, remarks = self._quality(entry, cell)
        # a line with an intercept shrinks relative errors
        share = 1 - intercept / value if value > 0 else 1.0
        if analyte.kind == "scale" and (items := _NUMBER.search(analyte.id)) and not re.search(r"\d", entry.analyte):
            self.assume(f"{shown(entry.analyte)} is taken as {analyte.id}, with {items[0]} items", entry, analyte)
        given = f"{text} {entry.unit}" if entry.unit else text
        return Measurement(
            analyte.id, value, censored, intern(given) if len(text) <= OFTEN else given, entry.place,
            self._specimen(analyte, entry) if entry.specimen or analyte.id in FED else "",
            entry.method, time, lod, upper, self._log_sd(entry, share, analyte), quality, remarks,
        )  # fmt: skip

    def assume(self, words: str, entry: Entry, analyte: Analyte) -> None:
        """Keep what was made of an unusual cell: told once for the file, and in the notes of its patient."""
        first, n = self.assumed.get(words, (entry.place, 0))
        self.assumed[words] = (first, n + 1)
        self._note(entry, intern(f"{analyte.id}: {words}."))

    def _note(self, entry: Entry, words: str) -> None:
        self.notes.setdefault(entry.patient, []).append(words)

    def _sex(self, entry: Entry, analyte: Analyte, time: float) -> Measurement | None:
        word = entry.value.strip().lower()
        if word in FEMALE | MALE:
            return Measurement(analyte.id, float(word in FEMALE), "", entry.value, entry.place, time_h=time)
        try:
            cell = read_cell(entry.value)
        except PanelError:
            cell = Cell("number")
        if cell.kind != "missing":
            raise PanelError(
                f"received '{shown(entry.value)}'; expected the word female or male, since numbers mean "
                f"different things"
            )
        if cell.assumed:
            self.assume(cell.assumed, entry, analyte)
        return None

    def _unit(self, entry: Entry, cell: Cell, analyte: Analyte) -> str:
        if not entry.unit:
            self.assume(f"the unit is taken from the cell ('{shown(cell.unit)}')", entry, analyte)
            return cell.unit
        try:
            same = parse_unit(cell.unit) == parse_unit(entry.unit)
        except UnitError as error:
            raise PanelError(f"received '{shown(entry.value)}': {error}") from None
        if not same:
            raise PanelError(
                f"received '{shown(entry.value)}', though the unit is given as {shown(entry.unit)}; keep the one that "
                f"is right"
            )
        return entry.unit

    def _usual(self, entry: Entry, analyte: Analyte) -> str:
        """The one unit that is in use, where the file gives none: BMI in kg/m2."""
        if analyte.id == "BMI":
            self.assume(f"{shown(entry.analyte)} without a unit is taken as {analyte.unit}", entry, analyte)
            return analyte.unit
        return ""

    def rule(self, analyte: Analyte, unit: str) -> tuple[float, float]:
        """Slope and intercept into the analyte's unit.

        Raises
        ------
        PanelError
            If the unit is none of this analyte's.
        """
        key = (analyte.id, unit)
        found = self._rules.get(key)
        if found is None:
            try:
                found = self._find_rule(analyte, unit)
            except PanelError as error:
                found = error
            self._rules[key] = found
        if isinstance(found, PanelError):
            raise found
        return found

    def _find_rule(self, analyte: Analyte, unit: str) -> tuple[float, float]:
        if not unit.strip():
            if analyte.kind == "scale" or analyte.id == "age" or is_bare(analyte.unit):
                return 1.0, 0.0
            raise PanelError(
                f"no unit; give the one that the laboratory reports, such as {analyte.unit}; none is guessed"
            )
        self._own_unit(analyte, unit)
        try:
            return line(
                unit.strip(), analyte.unit, molar_mass=analyte.molar_mass, factors=analyte.units_by_rule or None
            )
        except UnitError as error:
            share = next((a.id for a in self.knowledge.analytes.values() if a.id.startswith(f"{analyte.id}/")), "")
            if share and unit.strip() in ("%", "percent"):
                raise PanelError(f"received a percentage; name it '{share}' [%], or give the count") from None
            raise PanelError(f"{error}; expected {analyte.unit} or a unit that converts to it") from None

    def _own_unit(self, analyte: Analyte, unit: str) -> None:
        """Refuse a unit of a score, a count or a ratio that is none: a bare number would convert from a per cent."""
        if is_bare(analyte.unit) and not is_bare(unit) and unit not in analyte.units_by_rule:
            own = "points" if analyte.unit == "points" else "no unit"
            raise PanelError(f"received the unit '{shown(unit)}'; {analyte.id} has {own}; correct the unit or the name")

    def _plain(self, text: str, what: str) -> float:
        try:
            value, assumed = read_number(text.strip(), self.decimal)
        except PanelError as error:
            raise PanelError(f"column {what}: {error}") from None
        if assumed:
            raise PanelError(
                f"column {what}: received '{shown(text)}'; expected a number without marks between its digits"
            )
        return value

    def _bounds(
        self,
        entry: Entry,
        analyte: Analyte,
        cell: Cell,
        rule: tuple[float, float],
        lod: float | None,
        lloq: float | None,
    ) -> tuple[float, float | None, Censoring]:
        """Value, upper end and censoring of a cell beside its limits, all in the analyte's unit."""
        kind, value = cell.kind, rule[0] * cell.value + rule[1]
        limits = [limit for limit in (lod, lloq) if limit]
        if kind == "number":
            if lod is not None and value < lod:
                self._note(entry, f"{analyte.id} at {entry.place} is taken as below its lod of {lod:g} {analyte.unit}.")
                return lod, None, "left"
            if lloq is not None and value < lloq:
                return self._below_lloq(entry, analyte, lod, lloq)
            if value == 0 and analyte.kind == "laboratory":
                self._note(
                    entry, f"{analyte.id} at {entry.place} is 0, without a limit of detection: shown and not fitted."
                )
            return value, None, ""
        if kind == "interval":
            return value, rule[0] * cell.upper + rule[1], "interval"
        if kind in ("left", "right"):
            if kind == "left" and limits and not any(abs(value - limit) <= 1e-9 * limit for limit in limits):
                self.assume(
                    f"'{shown(entry.value)}' disagrees with the column {'lod' if lod else 'lloq'} "
                    f"({entry.lod or entry.lloq}); the cell is used",
                    entry,
                    analyte,
                )
            return value, None, "left" if kind == "left" else "right"
        if kind == "detected":
            if lod and lloq and lod < lloq:
                return self._below_lloq(entry, analyte, lod, lloq)
            raise PanelError(f"received '{shown(entry.value)}', which needs both limits; give the columns lod and lloq")
        if kind == "above" and entry.uloq:
            return self._limit(analyte, entry.uloq, "uloq", rule), None, "right"
        if kind == "above":
            raise PanelError(f"received '{shown(entry.value)}' without the upper limit; write it as >500")
        if not limits:
            raise PanelError(f"received '{shown(entry.value)}' without a limit; write it as <0.11 or give a column lod")
        # below quantification says nothing about detection: the higher limit holds in any case
        limit = limits[0] if kind == "below lod" else limits[-1]
        name = "lod" if limit == lod else "lloq"
        self._note(entry, f"{analyte.id} at {entry.place} is taken as below its {name} of {limit:g} {analyte.unit}.")
        return limit, None, "left"

    def _below_lloq(
        self, entry: Entry, analyte: Analyte, lod: float | None, lloq: float
    ) -> tuple[float, float | None, Censoring]:
        if not lod:
            self._note(entry, f"{analyte.id} at {entry.place} is taken as below its lloq of {lloq:g} {analyte.unit}.")
            return lloq, None, "left"
        self._note(
            entry,
            f"{analyte.id} at {entry.place} is taken as between its lod and lloq, {lod:g} to {lloq:g} {analyte.unit}.",
        )
        return lod, lloq, "interval"

    def _quality(self, entry: Entry, cell: Cell) -> tuple[Quality, tuple[str, ...]]:
        if not (entry.quality or cell.remark):
            return "", entry.remarks
        quality = QUALITY.get(entry.quality.strip().lower())
        if quality is None:
            raise PanelError(f"column quality: received '{shown(entry.quality)}'; expected doubtful, failed or nothing")
        if cell.remark:
            return quality or "doubtful", (*entry.remarks, cell.remark)
        return quality, entry.remarks

    def _log_sd(self, entry: Entry, share: float, analyte: Analyte) -> float | None:
        if not entry.cv:
            return None
        text = entry.cv.removesuffix("%")
        cv = self._plain(text, "cv") / (100 if text != entry.cv else 1)
        if cv == 0:
            self.assume("a cv of 0 says that replicates agree, not that there is no error; not used", entry, analyte)
            return None
        return share * sqrt(log(1 + cv * cv))

    def _plausible(
        self, analyte: Analyte, value: float, upper: float | None, censored: Censoring, entry: Entry
    ) -> None:
        """Ask back what a wrong unit most often makes: a value far outside everything known of the analyte."""
        top = value if upper is None else upper
        bounds = self._fine.get(analyte.id)
        if bounds is None:
            bounds = self._fine[analyte.id] = fine(analyte)
        if bounds[0] <= value and top <= bounds[1]:
            return
        low, high = analyte.plausible
        if analyte.kind == "scale" and not (low <= value and top <= high and not 0 < top < LEAST_POINT):
            raise PanelError(f"received {top:g}; the scale runs from {low:g} to {high:g}; correct the score")
        if analyte.kind == "covariate" and value <= 0 < low:
            what = f"{value:g} {analyte.unit}"
            raise PanelError(f"received {what}, which nobody has, confirmed or not; correct the value")
        words = suspicion(analyte, value, top, censored)
        if words and entry.confirmed.strip().lower() not in YES:
            raise PanelError(f"{words}; is the unit right? {self.remedy}")


def slip(one: str, other: str) -> bool:
    """Whether a name is another one with a letter too many, too few, or exchanged; another quantity never is.

    A digit makes another quantity (IL-6, IL-8), and so does a letter of a subtype or a receptor (IL-1a, IL-6R, RBC).

    Examples
    --------
    >>> slip("hscpr", "hscrp"), slip("cholestrol", "cholesterol"), slip("leptine", "leptin")
    (True, True, True)
    >>> slip("il8", "il6"), slip("il6r", "il6"), slip("rbc", "wbc"), slip("ifnb", "ifng"), slip("cortisone", "cortisol")
    (False, False, False, False, False)
    """
    if one == other or abs(len(one) - len(other)) > 1 or len(max(one, other, key=len)) < 4 or one[:1] != other[:1]:
        return False
    if re.findall(r"\d+", one) != re.findall(r"\d+", other) or one in ANOTHER:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    short, long = sorted((one[start:], other[start:]), key=len)
    if len(short) < len(long):
        return short == long[1:] and not (not short and long == "r")
    if short[2:] == long[2:] and short[:2] == long[1::-1]:
        return True
    return short[1:] == long[1:] and len(one) > 5 and len(short) > 1


def knower(knowledge: Knowledge | None) -> Callable[[str], str]:
    """Tell of which kind the analyte of a name is, of these or of the shipped ones: "item" of a scale, "" for none."""
    find = Interpreter(knowledge or load_knowledge()).find

    def kind(name: str) -> str:
        found = find(name)
        return found.kind if found is not None else "item" if item_of(name) is not None else ""

    return kind
