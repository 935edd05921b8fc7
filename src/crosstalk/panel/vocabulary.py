"""What words of a table mean: names of columns, rows that are no patients, fluids, flags; the lists are data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from crosstalk.limits import read_toml

__all__ = [
    "BLOOD",
    "FED",
    "RowKind",
    "also",
    "beside",
    "cell_is",
    "fasting",
    "fluid",
    "is_none",
    "parted",
    "role",
    "roles",
    "row_kind",
    "squeeze",
    "visits",
    "words",
]

RowKind = Literal["", "summary", "summary?", "lod", "lloq", "uloq", "laboratory", "control?"]

FED = ("glucose", "insulin")  # analytes that mean another thing after a meal
BLOOD = ("serum", "plasma", "serum or plasma", "blood")
# behind the name of a row: Standard 1, QC-high, Pool A
_RUN = re.compile(r"(?: ?\d+(?: \d+)?[a-z]?| (?:low|mid|medium|high|[a-z]|[ivx]{1,3}))?")


@cache
def _lists() -> Mapping[str, Any]:
    return read_toml(Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=65536)
def words(text: str) -> str:
    """Words without case, accents and punctuation, one blank between.

    Examples
    --------
    >>> words("Date de prélèvement"), words("EDTA-Blut"), words("Sample_Type:")
    ('date de prelevement', 'edta blut', 'sample type')
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+|[<>=+*!%≤≥]+", plain))


def squeeze(text: str) -> str:
    """`words` without blanks: names that people join and part in their own ways."""
    return words(text).replace(" ", "")


def roles() -> Mapping[str, list[str]]:
    """What columns may hold, and their names."""
    found: Mapping[str, list[str]] = _lists()["header"]
    return found


@cache
def _roles() -> Mapping[str, str]:
    return {squeeze(name): key for key, names in _lists()["header"].items() for name in names}


def role(header: str) -> str:
    """What a column of this name holds, "" where it is none that is known.

    Examples
    --------
    >>> role("Patienten-Nr."), role("LLOD"), role("Sample Type"), role("Redcap_event_name"), role("plate")
    ('patient', 'lod', 'specimen', 'visit', '')
    """
    return _roles().get(squeeze(header), "")


@cache
def _beside() -> Mapping[str, str]:
    return {squeeze(name): kind for kind, names in _lists()["beside"].items() for name in names}


def beside(name: str) -> str:
    """What a column tells of a patient that no verb uses: medication, contraceptives, smoking; "" for all others.

    Examples
    --------
    >>> beside("Current medication"), beside("Pille"), beside("ad_current"), beside("hsCRP")
    ('medication', 'contraceptives', 'medication', '')
    """
    return _beside().get(squeeze(name), "")


def is_none(text: str) -> bool:
    """Whether a cell says that there is none."""
    return cell_is("no", text) or words(text) in (
        "never",
        "nie",
        "keine",
        "kein",
        "aucun",
        "ninguno",
        "nessuno",
        "unmedicated",
        "0",
    )


@cache
def _others() -> Mapping[str, str]:
    return {squeeze(name): id_ for id_, names in _lists()["analyte"].items() for name in names}


def also(name: str) -> str:
    """The analyte that tables call so, "" where there is none; a trailing unit or total is part of such names.

    Examples
    --------
    >>> also("il6_pgml"), also("Leukozyten"), also("hamd17_total"), also("kyn_umol"), also("ferritin")
    ('IL-6', 'WBC', 'HAMD17', 'kynurenine', '')
    """
    return _others().get(squeeze(name), "") or _others().get(squeeze(parted(name)[0]), "")


@cache
def _tails() -> tuple[tuple[str, str], ...]:
    found = [(squeeze(name), unit) for unit, names in _lists()["unit"].items() for name in names]
    return tuple(sorted(found, key=lambda pair: -len(pair[0])))


def parted(name: str) -> tuple[str, str]:
    """Name and unit of a column such as ``il6_pgml``; the unit is "" where the name has none.

    Examples
    --------
    >>> parted("il6_pgml"), parted("kyn_umol"), parted("glucose_mg_dl"), parted("hs_crp")
    (('il6', 'pg/mL'), ('kyn', 'umol/L'), ('glucose', 'mg/dL'), ('hs_crp', ''))
    """
    tokens = re.findall(r"[^\s_.\-/]+", name)
    for n in (2, 1):
        if len(tokens) > n:
            tail = squeeze("".join(tokens[-n:]))
            unit = next((unit for end, unit in _tails() if tail == end), "")
            if unit:
                return "_".join(tokens[:-n]), unit
    return name, ""


@cache
def _rows() -> Mapping[str, RowKind]:
    return {squeeze(name): key for key, names in _lists()["row"].items() for name in names}


@lru_cache(maxsize=65536)
def row_kind(name: str) -> RowKind:
    """Which row of a table this is by the name in the column of the patient; "" for a patient.

    ``summary?`` are names such as SD and P25, which may be initials or numbers of people; ``control?`` may be a
    healthy person.

    Examples
    --------
    >>> row_kind("Mittelwert"), row_kind("LOD"), row_kind("QC high"), row_kind("SD"), row_kind("D-011")
    ('summary', 'lod', 'laboratory', 'summary?', '')
    """
    plain = words(name)
    key = plain.replace(" ", "")
    found = _rows().get(key, "")
    if found == "summary" and (len(key) <= 2 or re.fullmatch(r"[pq]\d+", key)):
        return "summary?"
    if found == "control":  # type: ignore[comparison-overlap]
        return "control?"
    if found:
        return found
    for kind in ("laboratory", "control"):
        for word in _lists()["row"][kind]:
            start = words(word)
            if plain.startswith(start) and _RUN.fullmatch(plain[len(start) :]):
                return "laboratory" if kind == "laboratory" else "control?"
    if re.fullmatch(r"(?:mean|median|average|mittelwert|moyenne|media)\b.{0,24}", plain):
        return "summary"
    if re.match(r"(?:n|sd|p)\s*=", plain):
        return "summary"
    return ""


@cache
def _patterns(section: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    found = []
    for name, parts in _lists()[section].items():
        listed = "|".join(re.escape(words(part.rstrip("*"))) + (r"\w*" if part.endswith("*") else "") for part in parts)
        found.append((name, re.compile(rf"(?<!\w)(?:{listed})(?!\w)")))
    return tuple(found)


@cache
def _codes() -> Mapping[str, str]:
    return {
        code: name for section in ("blood_codes", "other_codes") for name, codes in _lists()[section].items()
        for code in codes
    }  # fmt: skip


@lru_cache(maxsize=4096)
def fluid(text: str) -> str:
    """The fluid that words or a code name: one of `BLOOD`, another fluid, "" for no words, "unknown" for others.

    Examples
    --------
    >>> fluid("EDTA-Plasma"), fluid("Liquor"), fluid("258450006"), fluid("SAL"), fluid("cord blood"), fluid("tube 3")
    ('plasma', 'cerebrospinal fluid', 'cerebrospinal fluid', 'saliva', 'cord blood', 'unknown')
    """
    plain = words(text)
    if not plain:
        return ""
    if plain in _codes():
        return _codes()[plain]
    for name, pattern in _patterns("other"):
        if pattern.search(plain):
            return name
    found = [name for name, pattern in _patterns("blood") if pattern.search(plain)]
    if "serum or plasma" in found or {"serum", "plasma"} <= {*found}:
        return "serum or plasma"
    return found[0] if found else "unknown"


@lru_cache(maxsize=4096)
def fasting(text: str) -> bool | None:
    """Whether words or a LOINC code say fasting, say that it was not, or say nothing.

    Examples
    --------
    >>> fasting("Nüchternglukose"), fasting("serum, not fasting"), fasting("1558-6"), fasting("glucose")
    (True, False, True, None)
    """
    if text.strip() in _lists()["fasting"]["codes"]:
        return True
    found = {name: pattern for name, pattern in _patterns("fasting") if name != "codes"}
    plain = words(text)
    if found["no"].search(plain):
        return False
    return True if found["yes"].search(plain) else None


@cache
def visits() -> tuple[frozenset[str], frozenset[str], Mapping[str, float]]:
    """Names of first visits, of last ones, and how many weeks a unit of time in the name of a visit has."""
    listed = _lists()["visit"]
    weeks = {name: float(n) for n, names in listed["weeks"].items() for name in names}
    return frozenset(listed["first"]), frozenset(listed["last"]), weeks


@cache
def _cells() -> Mapping[str, frozenset[str]]:
    return {key: frozenset(map(words, listed)) for key, listed in _lists()["cell"].items()}


def cell_is(kind: str, text: str) -> bool:
    """Whether a cell is among the words of ``[cell]`` under this name; a star stands for any ending."""
    plain = words(text)
    if not plain and text.strip(" -\u2013\u2014."):
        return False  # a sign that is no word, such as a question mark
    if plain in _cells()[kind]:
        return True
    if kind != "stimulated":
        return False
    pattern = next(p for name, p in _patterns("cell") if name == kind)
    return bool(pattern.search(plain))
