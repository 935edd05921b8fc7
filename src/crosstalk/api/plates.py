"""Plates of immunoassays: `read_plates`, `plate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from crosstalk.api.inputs import KnowledgeLike, knowledge_of
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.plates import Plate
from crosstalk.panel.plates import files as plate_files
from crosstalk.panel.plates.quality import assess_plates
from crosstalk.panel.plates.quality_records import PlateReport

__all__ = ["PlatesLike", "plate", "read_plates"]

PlatesLike: TypeAlias = str | Path | Plate | Sequence[str | Path | Plate]
"""An export of a plate reader, or several, or plates as `read_plates` returns them."""


def read_plates(
    source: PlatesLike, *, mapping: FileMap | str | Path | None = None, knowledge: KnowledgeLike = None
) -> tuple[Plate, ...]:
    r"""Read the plates of exports of plate readers, such as Luminex xPONENT or MSD.

    Parameters
    ----------
    source : path, Plate, or a sequence of them
    mapping : FileMap or path, optional
        What the analytes of the kit are.
    knowledge : Knowledge, path or sequence of paths, optional
        Analytes that a map may name.

    Returns
    -------
    tuple of Plate
        In the order of the files.

    Raises
    ------
    PanelError
        If a file is no export that is read, or is broken.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import crosstalk
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "table.csv"
    ...     _ = file.write_text("patient,hsCRP [mg/L]\nA,5.2\n")
    ...     try:
    ...         crosstalk.read_plates(file)
    ...     except crosstalk.CrosstalkError as error:
    ...         print("is no export of a plate reader" in str(error))
    True
    """
    given = [source] if isinstance(source, (str, Path, Plate)) else list(source)
    named = FileMap.read(mapping, knowledge_of(knowledge)) if isinstance(mapping, (str, Path)) else mapping
    found: list[Plate] = []
    for one in given:
        found += (one,) if isinstance(one, Plate) else plate_files.read_plates(Path(one), named)
    return tuple(found)


def plate(
    source: PlatesLike, *, mapping: FileMap | str | Path | None = None, knowledge: KnowledgeLike = None
) -> PlateReport:
    """Check plates of immunoassays and read their concentrations from the signals.

    Parameters
    ----------
    source, mapping, knowledge
        See `read_plates`; several plates are compared by the samples that they share.

    Returns
    -------
    PlateReport
        `to_frame` gives a row per plate, analyte and sample: concentration in the unit of the plate, its standard error
        on the natural logarithm, whether it is censored, and what quality control says.

    Raises
    ------
    PanelError
        If a file cannot be read, or no well has a signal.

    References
    ----------
    Curves of four and five parameters: Gottschalk & Dunn 2005, https://doi.org/10.1016/j.ab.2005.04.035.

    Examples
    --------
    >>> import crosstalk
    >>> from crosstalk.panel.plates import Plate, Well
    >>> levels, signals = (1000, 250, 62.5, 15.6, 3.9, 0.98), (9000, 4200, 1500, 420, 120, 45)
    >>> wells = [
    ...     Well(f"A{i}", f"S{i}", "standard", "IL-6", float(s), None, 80, 1.0, float(c), "", f"line {i}")
    ...     for i, (c, s) in enumerate(zip(levels, signals), start=1)
    ... ]
    >>> wells += [Well("B1", "patient 1", "sample", "IL-6", 300.0, None, 80, 1.0, None, "", "line 7")]
    >>> made = Plate("made.csv", "1", "example", "", "", "", {"IL-6": "pg/mL"}, tuple(wells))
    >>> report = crosstalk.plate(made)
    >>> report.to_frame()[["analyte", "unit", "sample", "quality"]].values.tolist()
    [['IL-6', 'pg/mL', 'patient 1', '']]
    """
    return assess_plates(read_plates(source, mapping=mapping, knowledge=knowledge))
