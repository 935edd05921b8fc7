"""`read_plates`: the export of any plate reader that is known, as plates with their wells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.plates import msd
from crosstalk.panel.plates.wells import Plate
from crosstalk.panel.registry import formats, recognise
from crosstalk.panel.vocabulary import squeeze

__all__ = ["named", "read_plates"]


def read_plates(path: Path, mapping: FileMap | None = None) -> tuple[Plate, ...]:
    """Read the plates of an export of a plate reader that is known, such as Luminex xPONENT or MSD.

    Parameters
    ----------
    path : Path
    mapping : FileMap, optional
        What the analytes of the kit are.

    Returns
    -------
    tuple of Plate
        In the order of the file.

    Raises
    ------
    PanelError
        If the file is none of these, or is broken.
    """
    made = _plates(path)
    return made if mapping is None or not mapping.tests else tuple(named(plate, mapping) for plate in made)


def named(plate: Plate, mapping: FileMap) -> Plate:
    """A plate whose analytes have the names that a map gives them."""
    rules = {name: mapping.tests[squeeze(name)] for name in plate.units.keys() | {w.analyte for w in plate.wells}
             if squeeze(name) in mapping.tests}  # fmt: skip
    gone = {name for name, rule in rules.items() if rule.meaning == "ignore"}
    names = {name: rule.meaning for name, rule in rules.items() if name not in gone}
    units = {
        names.get(n, n): u or (rules[n].unit if n in rules else "") for n, u in plate.units.items() if n not in gone
    }
    for name, rule in rules.items():
        if rule.unit and plate.units.get(name) and rule.unit != plate.units[name]:
            raise PanelError(
                f"{plate.path}, {name}: has the unit {plate.units[name]}, and {mapping.path} says {rule.unit}; keep "
                f"the one that is right"
            )
        if rule.unit:
            units[names[name]] = rule.unit
    return replace(
        plate, units=units, lod={names.get(n, n): v for n, v in plate.lod.items() if n not in gone},
        wells=tuple(replace(w, analyte=names.get(w.analyte, w.analyte)) for w in plate.wells if w.analyte not in gone),
    )  # fmt: skip


def _plates(path: Path) -> tuple[Plate, ...]:
    found = recognise(path)
    if found.id == "workbook" and msd.recognises(path):  # a header of Discovery Workbench can stand below other rows
        return msd.plates(path)
    if found.plates is None:
        known = "; ".join(f.name for f in formats() if f.plates is not None)
        raise PanelError(
            f"{path}: is no export of a plate reader that can be read (it looks like '{found.id}': {found.name}); "
            f"expected one of: {known}"
        )
    return found.plates(path)
