"""The value[x] of a FHIR Observation or component: text and unit, and what must be said of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crosstalk.errors import PanelError, UnitError
from crosstalk.knowledge.records import Analyte
from crosstalk.panel.fhir_json import Number, Object, member, members, text
from crosstalk.units import convert, parse_unit

__all__ = ["LeftOutError", "Value", "has_value", "value_of", "words_of"]

UCUM = {"http://unitsofmeasure.org", "https://unitsofmeasure.org", "ucum", "urn:oid:2.16.840.1.113883.6.8", ""}
COMPARATORS = ("<", "<=", ">=", ">")
UNDETECTED = {
    "not detected", "undetected", "undetectable", "none detected", "below detection limit", "nd", "blq", "<lod",
    "260415000",  # SNOMED CT, not detected
}  # fmt: skip
SEXES = {"female": "female", "f": "female", "male": "male", "m": "male"}
_WORDED = re.compile(r"(<=|>=|<|>|≤|≥)?\s*([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*([^\d\s].*)?$")


class LeftOutError(Exception):
    """A value that is left out with a warning; the message is its reason."""


@dataclass(frozen=True, slots=True)
class Value:
    """Text (empty where missing) and unit; ``remarks`` stay with the value, ``notes`` become warnings."""

    text: str
    unit: str = ""
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def has_value(item: Object) -> bool:
    """Whether an Observation or component holds a value or says why it does not."""
    return "dataAbsentReason" in item or bool(_keys(item))


def value_of(item: Object, analyte: Analyte) -> Value:
    """The value of an Observation or component.

    Raises
    ------
    PanelError
        If it could be misread.
    LeftOutError
        If it has a form that no analyte of a panel has.
    """
    keys = _keys(item)
    if len(keys) > 1:
        raise PanelError(f"holds {' and '.join(keys)}; keep one")
    absent = member(item, "dataAbsentReason")
    if absent and keys:
        raise PanelError(f"holds {keys[0]} and a dataAbsentReason; FHIR allows one of them (obs-6)")
    if not keys:
        return _missing(words_of(absent)[0] if absent else "no reason given")
    key, found = keys[0], item[keys[0]]
    if key == "valueQuantity":
        return _quantity(member(item, key), _off_scale(item))
    if key == "valueRange":
        return _range(member(item, key))
    if key == "valueInteger" and isinstance(found, Number):
        return Value(str(found))
    if key == "valueString" and isinstance(found, str):
        return _worded([found.strip()], analyte)
    if key == "valueCodeableConcept":
        return _worded(words_of(member(item, key)), analyte)
    if key in ("valueInteger", "valueString"):
        raise PanelError(f"{key}: received {found!r}, expected a {'number' if key == 'valueInteger' else 'string'}")
    raise LeftOutError(f"{key} is no form of a laboratory value that is read")


def words_of(concept: Object) -> list[str]:
    """Text, displays and codes of a concept, the plainest first; never empty."""
    codings = members(concept, "coding")
    words = [text(concept, "text"), *(text(c, "display") for c in codings), *(text(c, "code") for c in codings)]
    return [word for word in words if word] or ["no words"]


def _keys(item: Object) -> list[str]:
    return [key for key in item if key.startswith("value") and key[5:6].isupper()]


def _missing(reason: str) -> Value:
    return Value("", "", (f"absent: {reason}",), (f"no value: {reason}",))


def _quantity(quantity: Object, sign: str) -> Value:
    comparator = text(quantity, "comparator")
    if comparator == "ad":
        raise LeftOutError("the comparator 'ad' (sufficient to achieve this total) gives no bound")
    if "comparator" in quantity and comparator not in COMPARATORS:
        raise PanelError(f"comparator {quantity['comparator']!r}; expected one of {' '.join(COMPARATORS)}")
    if sign and comparator and comparator[0] != sign:
        raise PanelError(f"the comparator says {comparator} and the interpretation {sign}; correct one of them")
    if quantity.get("value") is None:
        return _missing("a quantity without a number")
    number, notes = _number(quantity)
    unit, more = _unit(quantity)
    remarks = (f"interpretation {sign} (off scale)",) if sign and not comparator else ()
    return Value(f"{comparator or sign}{number}", unit, remarks, notes + more)


def _number(quantity: Object) -> tuple[str, tuple[str, ...]]:
    found = quantity.get("value")
    if not isinstance(found, str):
        raise PanelError(f"value: received {found!r}, expected a number")
    return found.strip(), () if isinstance(found, Number) else ("a number written as a string; read as a number",)


def _unit(quantity: Object) -> tuple[str, tuple[str, ...]]:
    """UCUM's code before the text of the unit; a note where they mean different things."""
    for key in ("unit", "code", "system"):
        if not isinstance(quantity.get(key, ""), str) or isinstance(quantity.get(key), Number):
            raise PanelError(f"{key} of the unit: received {quantity[key]!r}, expected a string")
    code, words = text(quantity, "code"), text(quantity, "unit")
    if not code or text(quantity, "system").lower().rstrip("/") not in UCUM:
        return words or code, ()
    differs = words and words != code and not _same_unit(words, code)
    return code, (f"the unit '{words}' is not the UCUM code '{code}'; the code is used",) if differs else ()


def _same_unit(one: str, other: str) -> bool:
    """Whether two units mean the same; true for words that are no unit, such as breaths/minute."""
    try:
        parse_unit(one), parse_unit(other)
    except UnitError:
        return True
    try:
        return convert(1.0, one, other) == 1.0
    except UnitError:
        return False


def _range(found: Object) -> Value:
    ends = [member(found, key) for key in ("low", "high")]
    if any("comparator" in end for end in ends):
        raise PanelError("valueRange with a comparator, which FHIR does not allow; give plain ends")
    read = [(*_number(end), *_unit(end)) for end in ends if end.get("value") is not None]
    if not read:
        return _missing("a range without ends")
    units = list(dict.fromkeys(unit for _, _, unit, _ in read))
    if len(units) > 1:
        raise PanelError(f"valueRange in {' and '.join(units)}; give both ends in one unit")
    notes = tuple(note for _, one, _, other in read for note in (*one, *other))
    if len(read) == 2:
        return Value(f"{read[0][0]}..{read[1][0]}", units[0], (), notes)
    sign = ">=" if ends[0].get("value") is not None else "<="
    return Value(f"{sign}{read[0][0]}", units[0], (), notes)


def _worded(words: list[str], analyte: Analyte) -> Value:
    """A result in words: a sex, a number with its unit, or the reason for which there is none."""
    said = words[0]
    if analyte.covariate == "female":
        bare = [word.lower().removesuffix(" (finding)") for word in words]
        return Value(next((SEXES[word] for word in bare if word in SEXES), said))
    if any(word.lower() in UNDETECTED for word in words):
        raise PanelError(
            f"received '{said}' without a limit; give the limit of detection as a valueQuantity with comparator '<'"
        )
    match = _WORDED.match(said)
    if match:
        return Value(f"{match[1] or ''}{match[2]}", (match[3] or "").strip())
    if re.search(r"\d", said):
        raise PanelError(f"received the words '{said[:60]}'; expected a number with its unit as a valueQuantity")
    return _missing(f"'{said[:60]}'")


def _off_scale(item: Object) -> str:
    """``<`` or ``>`` where the interpretation says that the value lies off the assay's scale."""
    codes = {text(c, "code") for one in members(item, "interpretation") for c in members(one, "coding")}
    signs = codes & {"<", ">"}
    return signs.pop() if len(signs) == 1 else ""
