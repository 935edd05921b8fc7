"""One cell to one measurement: number, censoring, unit, plausibility; every refusal says what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, log, sqrt
from sys import intern

from crosstalk.errors import PanelError, UnitError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.limits import shown
from crosstalk.panel.cells import PLAIN, Cell, read_cell, read_number
from crosstalk.panel.entries import Entry
from crosstalk.panel.records import Censoring, Measurement, Quality
from crosstalk.units import is_bare, line, parse_unit

__all__ = ["Interpreter"]

FEMALE, MALE = {"f", "female", "woman"}, {"m", "male", "man"}
# asked back whatever the analyte (assumed): most often the unit is wrong, or a point separates thousands
ABSURD = 1000.0  # times above the upper reference limit; sepsis reaches hundreds
SCANT = 100.0  # times below the lower one
TRACE = 1e-12  # of the highest plausible value: less is no measurement, whatever the unit
LEAST_POINT = 0.01  # of a score, whose steps are whole points; a mean of items can lie between
HINTED = 20  # unknown names that are searched for alike ones; more are never shown
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
    _limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    _searched: int = 0

    def analyte(self, name: str) -> Analyte:
        """The analyte of a name or alias."""
        if not name.strip():
            raise PanelError("no analyte; name what was measured")
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = self.knowledge.find_analyte(name) or self._unknown(name)
        if isinstance(found, PanelError):
            raise found
        return found

    def _unknown(self, name: str) -> PanelError:
        self._searched += 1
        words = f"unknown analyte '{shown(name)}'"
        if self._searched <= HINTED:
            try:
                self.knowledge.analyte(name)
            except UsageError as error:
                words = str(error).rstrip(".")
        return PanelError(f"{words}; `crosstalk analytes` lists what a panel may hold")

    def knows(self, name: str) -> bool:
        """Whether a name is that of an analyte."""
        return bool(name.strip()) and self.knowledge.find_analyte(name) is not None

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
        slope, intercept = rule = self._rule(analyte, self._unit(entry, cell, analyte) if cell.unit else entry.unit)
        lod = slope * self._plain(entry.lod, "lod") + intercept if entry.lod else None
        lloq = slope * self._plain(entry.lloq, "lloq") + intercept if entry.lloq else None
        if lod is not None and lloq is not None and lod > lloq:
            raise PanelError(f"lod {entry.lod} lies above lloq {entry.lloq}; the columns may be swapped; correct them")
        value, upper, censored = self._bounds(entry, analyte, cell, rule, lod, lloq)
        self._plausible(analyte, value, upper, censored, entry)
        quality, remarks = self._quality(entry, cell)
        # a line with an intercept shrinks relative errors
        share = 1 - intercept / value if value > 0 else 1.0
        return Measurement(
            analyte.id, value, censored, f"{text} {entry.unit}" if entry.unit else text, entry.place, entry.specimen,
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

    def _rule(self, analyte: Analyte, unit: str) -> tuple[float, float]:
        """Slope and intercept into the analyte's unit."""
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
        low, high = analyte.plausible
        top = value if upper is None else upper
        if analyte.kind == "scale" and not (low <= value and top <= high and not 0 < top < LEAST_POINT):
            raise PanelError(f"received {top:g}; the scale runs from {low:g} to {high:g}; correct the score")
        # where assays differ, the lowest limit: a unit missed by a thousand should not pass for another assay
        if analyte.id not in self._limits:
            self._limits[analyte.id] = (
                min((r.p2_5 / SCANT for r in analyte.references), default=TRACE * high),
                min((r.p97_5 for r in analyte.references), default=0.0),
            )
        tiny, limit = self._limits[analyte.id]
        too_high = top > high or bool(limit and top >= ABSURD * limit)
        too_low = censored != "left" and (value < low or 0 < value < tiny)
        if not (too_high or too_low) or entry.confirmed.strip().lower() in YES:
            return
        if too_high and limit:
            words = f"{top:g} {analyte.unit} is {_times(top / limit)} times the upper reference limit"
            words += f" ({limit:g} {analyte.unit})"
        elif too_high:
            words = f"{top:g} {analyte.unit} lies above anything possible ({high:g} {analyte.unit})"
        elif value < low or not limit:
            words = f"{value:g} {analyte.unit} lies below anything possible ({low or tiny:g} {analyte.unit})"
        else:
            words = f"{value:g} {analyte.unit} is less than a hundredth of the lower reference limit"
            words += f" ({tiny * SCANT:g} {analyte.unit})"
        raise PanelError(f"{words}; is the unit right? If the value is right, add a column confirmed with yes")


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio < 1e6 else f"{ratio:.2g}"
