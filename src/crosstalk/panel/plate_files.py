"""`read_plates`: the export of any plate reader that is known, as plates with their wells."""

from __future__ import annotations

from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel import msd
from crosstalk.panel.plates import Plate
from crosstalk.panel.registry import formats, recognise

__all__ = ["read_plates"]


def read_plates(path: Path) -> tuple[Plate, ...]:
    """Read the plates of an export of a plate reader that is known, such as Luminex xPONENT or MSD.

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
    if found.id == "workbook" and msd.recognises(path):  # a header of Discovery Workbench can stand below other rows
        return msd.plates(path)
    if found.plates is None:
        known = "; ".join(f.name for f in formats() if f.plates is not None)
        raise PanelError(
            f"{path}: is no export of a plate reader that can be read (it looks like '{found.id}': {found.name}); "
            f"expected one of: {known}"
        )
    return found.plates(path)
