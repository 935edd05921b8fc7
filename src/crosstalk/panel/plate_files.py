"""`read_plates`: the export of any plate reader that is known, as plates with their wells."""

from __future__ import annotations

from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel import msd, xponent
from crosstalk.panel.formats import recognise
from crosstalk.panel.plates import Plate

__all__ = ["read_plates"]


def read_plates(path: Path) -> tuple[Plate, ...]:
    """Read the plates of an export of Luminex xPONENT, MSD Discovery Workbench or MSD Methodical Mind.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of Plate
        In the order of the file.

    Raises
    ------
    PanelError
        If the file is none of these, or is broken.
    """
    found = recognise(path)
    if found == "workbook" and msd.recognises(path):  # a header of Discovery Workbench can stand below other rows
        found = "msd"
    if found not in ("xponent", "msd", "plate"):
        raise PanelError(
            f"{path}: is no export of a plate reader that can be read (it looks like '{found}'); expected Luminex "
            f"xPONENT (CSV), MSD Discovery Workbench (CSV or XLSX) or MSD Methodical Mind (TXT)"
        )
    return xponent.plates(path) if found == "xponent" else msd.plates(path)
