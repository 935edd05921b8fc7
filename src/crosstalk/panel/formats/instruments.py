"""Plates of Luminex xPONENT (IntelliFlex too) and MSD, and tables of wells of other readers."""

from __future__ import annotations

import re
from pathlib import Path

from crosstalk.panel.plates.wells import Plate
from crosstalk.panel.registry import Format, Look

__all__ = ["FORMATS"]


def _is_xponent(look: Look) -> bool:
    return (
        re.match(r"Program[,;\t]\s*(?:xPONENT|INTELLIFLEX)", look.text[:2000].replace('"', ""), re.IGNORECASE)
        is not None
    )


def _xponent(path: Path) -> tuple[Plate, ...]:
    from crosstalk.panel.plates.xponent import plates

    return plates(path)


def _msd(path: Path) -> tuple[Plate, ...]:
    from crosstalk.panel.plates.msd import plates

    return plates(path)


def _has_wells(look: Look) -> bool:
    from crosstalk.panel.plates.msd import recognises

    if look.folder or (look.archive and not look.holds("sample", "assay", "well")):
        # in a workbook, a header with the assay: others hold tables of people
        return False
    return recognises(look.path)


def _is_msd(look: Look) -> bool:
    from crosstalk.panel.plates.msd import is_msd

    return _has_wells(look) and is_msd(look.path)


FORMATS = (
    Format("xponent", "Luminex xPONENT, of IntelliFlex too (CSV)", _is_xponent, plates=_xponent, kit=True, rank=40),
    Format("msd", "MSD Discovery Workbench (CSV, xlsx) and Methodical Mind (TXT)", _is_msd, plates=_msd, kit=True,
           rank=70),
    Format("plate", "tables of wells of other readers (Sample, Well, Assay, Signal, Calc. Concentration)", _has_wells,
           plates=_msd, kit=True, rank=71),
)  # fmt: skip
