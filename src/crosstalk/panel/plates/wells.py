"""Plates of Luminex xPONENT and MSD instruments: the wells as exported, and the samples' concentrations as entries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from crosstalk.panel.entries import Entry, Reading
from crosstalk.panel.plates.replicates import SAME, Outcome, bound_of, of_dilutions, of_wells, precision
from crosstalk.panel.records import Quality
from crosstalk.panel.text import CENSORED, number

__all__ = [
    "EXCLUDED",
    "Plate",
    "Role",
    "Well",
    "entries_of",
    "role_of_name",
    "well_name",
]

Role = Literal["standard", "control", "sample", "blank", "unknown"]

EXCLUDED = "excluded in the export"
SHOWN = 8  # names that a message lists before it counts the rest
_WELL = re.compile(r"([A-Za-z]{1,2})0*([1-9]\d?)")
_OUT_OF_RANGE = re.compile(r"\b(below|above)\s+(detection|fit\s*curve|standard|curve)\s+range\b", re.IGNORECASE)
# what exports say of a number beyond the curve
_DOUBTED = re.compile(
    rf"extrapolat|{_OUT_OF_RANGE.pattern}|\b(?:out of|outside)\b.*\brange\b|"
    rf"\b(?:below|above|beyond)\b.*\b(?:standard|curve|range)\b|\b(?:saturated|oor)\b",
    re.IGNORECASE,
)
_RUN = r"[\s._#-]*\d*([\s._-]+\d+)?"  # the running number behind a word: Standard1, STD-3, Control 2
_WORDS: Mapping[Role, re.Pattern[str]] = {
    "standard": re.compile(rf"(standard|std|calibrator|cal){_RUN}", re.IGNORECASE),
    "control": re.compile(rf"(control|ctrl|qc)({_RUN}|[\s._-]*(low|mid|high|[a-z]))", re.IGNORECASE),
    "blank": re.compile(rf"(background|bkgd?|blank|zero){_RUN}", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Well:
    """One analyte in one well.

    Attributes
    ----------
    location : str
        ``A1``.
    sample : str
        The sample's name as exported; plate and well (``PLATE_A1``) where the export names no samples.
    role : {"standard", "control", "sample", "blank", "unknown"}
        ``unknown`` where the export does not say.
    analyte : str
        As exported; ``Spot 4`` where the export names no assays.
    signal : float, optional [MFI, median over the beads; or ECL counts]
        Raw.
    net_signal : float, optional
        Less background, where exported.
    count : int, optional
        Beads.
    dilution : float
        Dilution factor, 1 where none is given.
    expected : float, optional
        Expected concentration of a standard or control, in the analyte's unit.
    reported : str
        The vendor's calculated concentration as text: ``12.3``, ``<0.4``, ``NaN``, ``>1200``; empty where there is
        none.
    place : str
        Where it stood, for messages: ``line 87``.
    remarks : tuple of str
        What the export itself says of the well.
    exported : mapping of str to str
        The other blocks or columns of the export for this well and analyte, as text: ``% Recovery``, ``Spot``.
    """

    location: str
    sample: str
    role: Role
    analyte: str
    signal: float | None
    net_signal: float | None
    count: int | None
    dilution: float
    expected: float | None
    reported: str
    place: str
    remarks: tuple[str, ...] = ()
    exported: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Plate:
    """One plate as exported.

    Attributes
    ----------
    path : str
    plate : str
        Barcode, or number, or the name of the batch.
    assay : str
        What is known of the assay, at least the platform: ``Luminex xPONENT``, ``MSD``, ``MSD V-PLEX``.
    instrument : str
    read_at : str
        As exported.
    software : str
    units : mapping of str to str
        Analyte to unit; empty if the export gives none.
    wells : tuple of Well
    lod : mapping of str to float
        Limit of detection of an analyte in its unit and on the plate (not multiplied by a dilution), where exported.
    attributes : mapping of str to str
        Other fields of the header: protocol, batch, operator.
    warnings : tuple of str
    content : bytes
        Of the file.
    """

    path: str
    plate: str
    assay: str
    instrument: str
    read_at: str
    software: str
    units: Mapping[str, str]
    wells: tuple[Well, ...]
    lod: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    content: bytes = b""


def entries_of(plates: Sequence[Plate]) -> Reading:
    """The samples' reported concentrations as entries of a panel.

    Replicates of one sample and analyte on one plate become one entry: the geometric mean of their positive
    concentrations, with their coefficient of variation. Several dilutions give what is known best of them, see
    `crosstalk.panel.plates.replicates`. A number beyond the standards is a bound. A replicate that is censored is
    never averaged with a number:
    ``<0.4`` and 0.9 become ``<0.9``, ``>1200`` and 1000 become ``>1000``, with a remark; ``<0.4`` and ``>1200``
    contradict each other and give a warning and no entry. A concentration without a unit is a problem; a sample without
    a concentration gives a warning.

    Parameters
    ----------
    plates : sequence of Plate
        Of one file.

    Returns
    -------
    Reading
        Each entry's limit of detection is the plate's times the dilution, since the concentrations are taken as those
        of the undiluted sample.

    Examples
    --------
    >>> from dataclasses import replace
    >>> well = Well("A1", "P7", "sample", "IL-6", 812.0, None, None, 1.0, None, "2.0", "line 5")
    >>> wells = (well, replace(well, location="A2", place="line 6", reported="8.0"))
    >>> plate = Plate("run.csv", "1", "MSD", "", "", "", {"IL-6": "pg/mL"}, wells)
    >>> entries_of([plate]).entries[0].value, entries_of([plate]).entries[0].place
    ('4', 'line 5 (well A1) and line 6 (well A2)')
    """
    entries: list[Entry] = []
    problems: list[str] = []
    warnings: list[str] = []
    for plate in plates:
        of = f"plate {plate.plate}, " if len(plates) > 1 else ""
        where = f"{plate.path}, {of}".rstrip(", ")
        warnings += plate.warnings
        warnings += _not_samples(plate, where)
        groups: dict[tuple[str, str], list[Well]] = {}
        for well in plate.wells:
            if well.role == "sample":
                groups.setdefault((well.sample, well.analyte), []).append(well)
        levels = {analyte: _levels(plate, analyte) for analyte in dict.fromkeys(w.analyte for w in plate.wells)}
        silent: dict[str, list[str]] = {}
        unusable: dict[tuple[str, str], list[str]] = {}
        unnamed: list[Well] = []
        diluted: set[float] = set()
        no_unit: set[str] = set()
        for (sample, analyte), wells in groups.items():
            found = _value(wells, plate.lod.get(analyte), levels[analyte], plate.units.get(analyte, ""))
            if found.value is None:
                if found.remarks:
                    key = (analyte, "; ".join(found.remarks))
                    unusable.setdefault(key, []).append(f"{sample or '(no name)'} at {_places(wells)}")
                else:
                    silent.setdefault(sample, []).append(analyte)
                continue
            if not sample:
                unnamed += wells
                continue
            if not plate.units.get(analyte):
                no_unit.add(analyte)
                continue
            diluted |= {well.dilution for well in wells if well.dilution != 1}
            entries.append(_entry(of, plate, wells, found))
        problems += [
            f"{where}: {analyte}: the export gives concentrations without a unit, and none is guessed; set the unit in "
            f"the protocol and export again, or say it in a map: [tests] '{analyte}' = {{ is = '...', unit = 'pg/mL' }}"
            for analyte in sorted(no_unit)
        ]
        if unnamed:
            problems.append(f"{where}, {_places(unnamed[:SHOWN])}: the sample has no name; name it in the plate layout")
        warnings += [
            f"{where}: {analyte}: {why}; left out: {_listed(samples)}" for (analyte, why), samples in unusable.items()
        ]
        warnings += _silent(silent, sum(map(len, silent.values())) == len(groups) > 0, where)
        if diluted:
            factors = ", ".join(f"{d:g}" for d in sorted(diluted))
            warnings.append(
                f"{where}: samples were diluted (factor {factors}); the export's concentrations are taken as those of "
                f"the undiluted sample; check one"
            )
    content = b"".join(dict.fromkeys(plate.content for plate in plates))
    return Reading(entries, problems, warnings, content)


def _value(wells: Sequence[Well], lod: float | None, levels: Sequence[float], unit: str) -> Outcome:
    """What the wells of a sample say; no value with remarks is a contradiction or an unusable value."""
    by_dilution: dict[float, list[Well]] = {}
    for well in wells:
        by_dilution.setdefault(well.dilution, []).append(well)
    outcomes = [_of_dilution(own, lod, levels) for own in by_dilution.values()]
    if len(outcomes) > 1 and any(o.value is not None for o in outcomes):
        listed = ", ".join(f"{d:g}" for d in sorted(by_dilution))
        found = of_dilutions(outcomes, unit)
        return replace(found, remarks=(*found.remarks, f"wells of dilutions {listed} are taken together"))
    return outcomes[0] if len(outcomes) == 1 else replace(
        outcomes[0], remarks=tuple(dict.fromkeys(r for o in outcomes for r in o.remarks))
    )  # fmt: skip


def _of_dilution(wells: Sequence[Well], lod: float | None, levels: Sequence[float]) -> Outcome:
    """What the replicates of one dilution say together."""
    dilution = wells[0].dilution
    numbers: list[float] = []
    below: list[float] = []
    above: list[float] = []
    given: list[str] = []
    odd: list[str] = []
    unused: list[str] = []
    read: list[str] = []
    for well in wells:
        sign, value = _read(well.reported)
        if EXCLUDED in well.remarks:
            unused.append(f"well {well.location} is {EXCLUDED}")
            continue
        if sign and value is not None:
            side = "<" if sign in "<≤<=" else ">"
            value, said = bound_of(side, value, dilution, levels)
            (below if side == "<" else above).append(value)
            given.append(f"{side}{value:.12g}")
            read += [said] if said else []
        elif value is not None and value > 0:
            outside = _outside(well, value, lod, levels)
            if outside:
                end = (min if outside == "<" else max)(levels) * dilution
                (below if outside == "<" else above).append(end)
                given.append(f"{outside}{end:.12g}")
                read.append(f"well {well.location}: {value:g} lies beyond the standards, read as {outside}{end:g}")
            else:
                numbers.append(value)
                given.append(well.reported)
        elif lod is not None and (value is not None or _below(well)):
            below.append(lod * dilution)
            given.append(well.reported)
            unused.append(f"well {well.location} reported {well.reported}, taken as below the limit of detection")
        elif levels and (side := _off(well)):
            end = (min if side == "<" else max)(levels) * dilution
            (below if side == "<" else above).append(end)
            given.append(f"{side}{end:.12g}")
            read.append(f"well {well.location} reported {well.reported}, read as {side}{end:g} by the standards")
        elif well.reported:
            odd.append(f"well {well.location} reported {well.reported}")
        else:
            odd.append("")
    said_ = [text for text in (*unused, *odd) if text]
    words = _words(wells)
    if not numbers and not below and not above:
        texts = list(dict.fromkeys(w.reported for w in wells if w.reported and EXCLUDED not in w.remarks))
        why = [f"no concentration but {', '.join(texts)}"] if texts else []
        return Outcome("", None, dilution, remarks=(*why, *unused, *words) if why or unused else ())
    found = of_wells(numbers, below, above, given)
    if found is None:
        both = ", ".join(well.reported for well in wells if well.reported)
        why = [f"the replicates contradict each other ({both}); repeat the measurement"]
        return Outcome("", None, dilution, remarks=tuple(why))
    notes = [text or "a replicate has no concentration" for text in (*unused, *odd)]
    doubtful = not found.sign and (any(_DOUBTED.search(word) for word in words) or bool(said_))
    quality: Quality = "doubtful" if doubtful else ""
    return Outcome(
        found.sign, found.value, dilution, found.cv, quality, (*notes, *found.remarks, *read, *words),
        precision(found.value, dilution, levels),
    )  # fmt: skip


def _outside(well: Well, value: float, lod: float | None, levels: Sequence[float]) -> str:
    """The side on which a number lies beyond the standards, so that it is extrapolated; "" where it lies within.

    Below the lowest standard, a vendor that has a limit of detection and does not doubt the number is believed.
    """
    if len(set(levels)) < 3:
        return ""
    on_plate = value / well.dilution
    if on_plate > (1 + SAME) * max(levels):
        return ">"
    if on_plate >= (1 - SAME) * min(levels):
        return ""
    doubted = any(_DOUBTED.search(word) for word in well.remarks)
    return "" if lod is not None and on_plate >= lod and not doubted else "<"


def _off(well: Well) -> str:
    """The side on which a well without a number lies beyond the curve, as far as the export says."""
    match = re.fullmatch(r"(?:oor|out of range)\s*([<>])", well.reported, re.IGNORECASE)
    if match:
        return match[1]
    sides = {m[1].lower() for word in well.remarks if (m := _OUT_OF_RANGE.search(word))}
    return {"below": "<", "above": ">"}[sides.pop()] if len(sides) == 1 and number(well.reported) is None else ""


def _levels(plate: Plate, analyte: str) -> list[float]:
    """Expected concentrations of the standards of one analyte."""
    return [
        w.expected for w in plate.wells
        if w.analyte == analyte and w.role == "standard" and w.expected and EXCLUDED not in w.remarks
    ]  # fmt: skip


def _read(text: str) -> tuple[str, float | None]:
    match = CENSORED.fullmatch(text)
    return (match[1], number(match[2])) if match else ("", number(text))


def _below(well: Well) -> bool:
    """Whether the export says that the well lies below what it can detect."""
    if re.fullmatch(r"(oor|out of range)\s*<", well.reported, re.IGNORECASE):
        return True
    return any(match[1].lower() == "below" for word in well.remarks if (match := _OUT_OF_RANGE.search(word)))


def _words(wells: Sequence[Well]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(remark for well in wells for remark in well.remarks if remark != EXCLUDED))


def _places(wells: Sequence[Well]) -> str:
    return " and ".join(f"{well.place} (well {well.location})" for well in wells)


def _entry(of: str, plate: Plate, wells: Sequence[Well], found: Outcome) -> Entry:
    lod = plate.lod.get(wells[0].analyte) if len({well.dilution for well in wells}) == 1 else None
    return Entry(
        place=of + _places(wells),
        patient=wells[0].sample,
        analyte=wells[0].analyte,
        value=found.text,
        unit=plate.units[wells[0].analyte],
        method=plate.assay,
        lod=f"{lod * found.dilution:.10g}" if lod is not None else "",
        cv="" if found.cv is None else f"{found.cv:.6g}",
        quality=found.quality,
        remarks=found.remarks,
    )


def _not_samples(plate: Plate, where: str) -> list[str]:
    """Wells that are no samples by their name alone, and wells whose samples are not named at all."""
    warnings = []
    by_name = dict.fromkeys(
        well.sample
        for well in plate.wells
        if well.role in ("standard", "control", "blank") and well.expected is None and number(well.reported) is not None
    )
    if by_name:
        warnings.append(
            f"{where}: left out as standards, controls or blanks by their name alone: {_listed(by_name)}; give "
            f"patients other names"
        )
    unknown = sum(well.role == "unknown" for well in plate.wells)
    if unknown:
        warnings.append(
            f"{where}: {unknown} signals without the names of their samples were left out; `crosstalk plate` computes "
            f"concentrations when it is told the plate layout"
        )
    return warnings


def _silent(silent: Mapping[str, Sequence[str]], everything: bool, where: str) -> list[str]:
    remedy = "`crosstalk plate` computes concentrations from the standards"
    if everything:
        return [f"{where}: no sample has a reported concentration ({_listed(silent)}); {remedy}"]
    return [
        f"{where}: sample {sample or '(no name)'}: no reported concentration of {_listed(analytes)}; {remedy}"
        for sample, analytes in silent.items()
    ]


def _listed(names: Mapping[str, object] | Sequence[str]) -> str:
    words = [name or "(no name)" for name in names]
    rest = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + rest


def role_of_name(name: str) -> Role:
    """The role that a sample's name alone tells.

    Examples
    --------
    >>> role_of_name("Standard1"), role_of_name("QC high"), role_of_name("Background0"), role_of_name("Calder 7")
    ('standard', 'control', 'blank', 'sample')
    """
    return next((role for role, words in _WORDS.items() if words.fullmatch(name.strip())), "sample")


def well_name(text: str) -> str:
    """``A1`` for ``A01`` or ``a1``; empty where the text names no well.

    Examples
    --------
    >>> well_name("A01"), well_name("p24"), well_name("Total")
    ('A1', 'P24', '')
    """
    match = _WELL.fullmatch(text.strip())
    return f"{match[1].upper()}{match[2]}" if match else ""
