"""Plates of Luminex xPONENT and MSD, and tables of wells of other readers."""

from __future__ import annotations

from pathlib import Path

from crosstalk.panel.entries import Reading, Wanted
from crosstalk.panel.plates import Plate
from crosstalk.panel.registry import Format, Look

__all__ = ["FORMATS"]


def _is_xponent(look: Look) -> bool:
    return look.text[:2000].replace('"', "").startswith(("Program,xPONENT", "Program;xPONENT"))


def _xponent_plates(path: Path) -> tuple[Plate, ...]:
    from crosstalk.panel.xponent import plates

    return plates(path)


def _msd_plates(path: Path) -> tuple[Plate, ...]:
    from crosstalk.panel.msd import plates

    return plates(path)


def _xponent(path: Path, wanted: Wanted) -> Reading:
    from crosstalk.panel.xponent import read

    return read(path)


def _msd(path: Path, wanted: Wanted) -> Reading:
    from crosstalk.panel.msd import read

    return read(path)


def _has_wells(look: Look) -> bool:
    from crosstalk.panel.msd import recognises

    if look.folder or (look.archive and not look.holds("sample", "assay", "well")):
        # in a workbook, a header with the assay: others hold tables of people
        return False
    return recognises(look.path)


def _is_msd(look: Look) -> bool:
    from crosstalk.panel.msd import is_msd

    return _has_wells(look) and is_msd(look.path)


FORMATS = (
    Format("xponent", "Luminex xPONENT (CSV)", _is_xponent, _xponent, _xponent_plates, kit=True, rank=40),
    Format("msd", "MSD Discovery Workbench (CSV, xlsx) and Methodical Mind (TXT)", _is_msd, _msd, _msd_plates,
           kit=True, rank=70),
    Format("plate", "tables of wells of other readers (Sample, Well, Assay, Signal, Calc. Concentration)", _has_wells,
           _msd, _msd_plates, kit=True, rank=71),
)  # fmt: skip
