"""One cell to one measurement: number, censoring, unit, plausibility; every refusal says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crosstalk.errors import PanelError, UnitError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.panel.layout import Entry
from crosstalk.panel.records import Measurement
from crosstalk.units import convert, parse_unit

__all__ = ["Interpreter", "derive"]

MISSING = {"", "na", "n/a", "nan", "null", "none", "."}
BELOW = {"blq", "bloq", "blod", "<lod", "< lod", "<lloq", "nd", "not detected"}
FEMALE, MALE = {"f", "female", "woman"}, {"m", "male", "man"}
ABSURD = 1000.0  # times the upper reference limit: asked back whatever the analyte
YES = {"yes", "y", "true", "1"}
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_SIGN = re.compile(r"^(<=|>=|<|>|≤|≥)\s*(.*)$")
_LEFT = {"<", "<=", "≤"}


@dataclass
class Interpreter:
    """Reads cells with a knowledge base; caches names and unit factors, so that large files are quick.

    Raises `PanelError` without the place of the cell, which the caller knows.
    """

    knowledge: Knowledge
    _names: dict[str, Analyte | PanelError] = field(default_factory=dict)
    _factors: dict[tuple[str, str], float | PanelError] = field(default_factory=dict)

    def analyte(self, name: str) -> Analyte:
        """The analyte of a name or alias."""
        found = self._names.get(name)
        if found is None:
            try:
                found = self.knowledge.analyte(name)
            except UsageError as error:
                found = PanelError(f"{str(error).rstrip('.')}; `crosstalk analytes` lists what a panel may hold")
            self._names[name] = found
        if isinstance(found, PanelError):
            raise found
        return found

    def measurement(self, entry: Entry) -> Measurement | None:
        """Read one cell; None where it is empty."""
        analyte = self.analyte(entry.analyte)
        text = entry.value.strip()
        if text.lower() in MISSING:
            return None
        if analyte.covariate == "female":
            return self._sex(entry, analyte)
        factor = self._factor(analyte, entry.unit)
        lod = self._lod(entry, factor)
        value, censored = self._value(text, lod)
        value *= factor if text.lower() not in BELOW else 1.0
        if lod is not None and not censored and value < lod:
            value, censored = lod, "left"
        self._plausible(analyte, value, entry)
        time = self._plain(entry.time, "time") if entry.time else 0.0
        given = f"{entry.value} {entry.unit}".strip()
        found = Measurement(analyte.id, value, "", given, entry.line, entry.specimen, entry.method, time, lod)
        return replace(found, censored=censored)  # type: ignore[arg-type]

    def _sex(self, entry: Entry, analyte: Analyte) -> Measurement:
        word = entry.value.strip().lower()
        if word not in FEMALE | MALE:
            raise PanelError(
                f"received '{entry.value}'; expected the word female or male, since numbers mean different things"
            )
        return Measurement(analyte.id, float(word in FEMALE), "", entry.value, entry.line)

    def _factor(self, analyte: Analyte, unit: str) -> float:
        key = (analyte.id, unit)
        if key not in self._factors:
            try:
                self._factors[key] = self._find_factor(analyte, unit)
            except PanelError as error:
                self._factors[key] = error
        found = self._factors[key]
        if isinstance(found, PanelError):
            raise found
        return found

    def _find_factor(self, analyte: Analyte, unit: str) -> float:
        if not unit.strip():
            if analyte.kind == "scale" or analyte.id == "age" or _bare(analyte.unit):
                return 1.0
            raise PanelError(
                f"no unit; give the one that the laboratory reports, such as {analyte.unit}; none is guessed"
            )
        try:
            return convert(
                1.0, unit.strip(), analyte.unit, molar_mass=analyte.molar_mass, factors=analyte.units_by_rule or None
            )
        except UnitError as error:
            raise PanelError(f"{error}; expected {analyte.unit} or a unit that converts to it") from None

    def _lod(self, entry: Entry, factor: float) -> float | None:
        return self._plain(entry.lod, "lod") * factor if entry.lod.strip() else None

    def _plain(self, text: str, what: str) -> float:
        if not _NUMBER.match(text.strip()):
            raise PanelError(f"column {what}: received '{text}'; expected a number")
        number = float(text)
        if number < 0:
            raise PanelError(f"column {what}: received '{text}'; expected a number of 0 or more")
        return number

    def _value(self, text: str, lod: float | None) -> tuple[float, str]:
        if text.lower() in BELOW:
            if lod is None:
                raise PanelError(f"received '{text}' without a limit; write it as <0.11 or give a column lod")
            return lod, "left"
        sign = _SIGN.match(text)
        if sign is None:
            return _number(text), ""
        return _number(sign[2].strip()), "left" if sign[1] in _LEFT else "right"

    def _plausible(self, analyte: Analyte, value: float, entry: Entry) -> None:
        low, high = analyte.plausible
        if analyte.kind == "scale" and not low <= value <= high:
            raise PanelError(f"received {value:g}; the scale runs from {low:g} to {high:g}; correct the score")
        if entry.confirmed.strip().lower() in YES:
            return
        # where assays differ, the lowest limit: a unit missed by a thousand should not pass for another assay
        upper = min((r.p97_5 for r in analyte.references), default=None)
        if value > high or (upper and value >= ABSURD * upper):
            excess = (
                f"is {value / upper:.0f} times the upper reference limit ({upper:g} {analyte.unit})"
                if upper
                else f"lies above anything possible ({high:g} {analyte.unit})"
            )
            raise PanelError(
                f"{value:g} {analyte.unit} {excess}; is the unit right? If the value is right, add a column confirmed "
                "with yes"
            )
        if value < low and not (low <= 0 or entry.value.strip().startswith(("<", "≤"))):
            raise PanelError(
                f"{value:g} {analyte.unit} lies below anything possible ({low:g} {analyte.unit}); is the unit right? "
                f"If the value is right, add a column confirmed with yes"
            )


def _bare(unit: str) -> bool:
    try:
        return parse_unit(unit) in ("1", "dimensionless", "points")
    except UnitError:
        return False


def _number(text: str) -> float:
    if _DECIMAL_COMMA.match(text):
        raise PanelError(f"received '{text}' with a comma; write 1.5 for one and a half and 1500 for fifteen hundred")
    if not _NUMBER.match(text):
        raise PanelError(f"received '{text}'; expected a number such as 1.5, <0.11 or >500")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise PanelError(f"received '{text}', which is not finite; expected a number")
    if value < 0:
        raise PanelError(f"received '{text}', which is negative; expected 0 or more")
    return value


def derive(measurements: Mapping[str, Measurement]) -> tuple[dict[str, Measurement], list[str]]:
    """Values that follow from others and that the panel does not hold, with a note each.

    References
    ----------
    HOMA-IR: Matthews 1985, doi 10.1007/BF00280883.
    """
    found: dict[str, Measurement] = {}
    notes: list[str] = []

    def have(*names: str) -> bool:
        return all(n in measurements and not measurements[n].censored and measurements[n].value > 0 for n in names)

    def add(name: str, value: float, words: str) -> None:
        if name not in measurements:
            found[name] = Measurement(name, value, "", words)
            notes.append(f"{name} {value:.3g} computed: {words}.")

    value = {k: m.value for k, m in measurements.items()}
    if have("weight", "height"):
        add("BMI", value["weight"] / (value["height"] / 100) ** 2, "weight over height squared")
    if have("neutrophils", "lymphocytes"):
        add("NLR", value["neutrophils"] / value["lymphocytes"], "neutrophils over lymphocytes")
    if have("kynurenine", "tryptophan"):
        add("KYN/TRP", 1000 * value["kynurenine"] / value["tryptophan"], "kynurenine over tryptophan")
    if have("glucose", "insulin"):
        add(
            "HOMA-IR",
            value["glucose"] * value["insulin"] / 405,
            "fasting glucose [mg/dL] times insulin [uIU/mL] over 405",
        )
    return found, notes
