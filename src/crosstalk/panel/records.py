"""Typed records of measured panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from crosstalk.results import Shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Censoring", "Measurement", "Panel", "PanelFile", "Quality"]

Censoring = Literal["", "left", "right", "interval"]
Quality = Literal["", "doubtful", "failed"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of one analyte, in the analyte's own unit.

    Attributes
    ----------
    analyte : str
    value : float
    censored : {"", "left", "right", "interval"}
        ``left`` where the truth lies below ``value`` (``<0.11``), ``right`` where it lies above, ``interval`` where it
        lies between ``value`` and ``upper``.
    given : str
        The text as it stood in the file, with its unit.
    place : str
        Where it stood: ``line 3``, ``sheet 'Results', row 7``, ``Observation/a1``.
    specimen, method : str
    time_h : float
    lod : float, optional
        Limit of detection, in the analyte's unit.
    upper : float, optional
        Upper end of an interval.
    log_sd : float, optional
        Uncertainty of this very value on the natural logarithm, where the assay reports one.
    quality : {"", "doubtful", "failed"}
        What the laboratory's own quality control or Crosstalk's said. A failed value is kept and shown, and not used.
    remarks : tuple of str
        Why it is doubtful or failed, or what was done to it.
    """

    analyte: str
    value: float
    censored: Censoring = ""
    given: str = ""
    place: str = ""
    specimen: str = ""
    method: str = ""
    time_h: float = 0.0
    lod: float | None = None
    upper: float | None = None
    log_sd: float | None = None
    quality: Quality = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Panel(Shown):
    """All measurements of one patient on one occasion.

    Attributes
    ----------
    patient : str
    measurements : mapping of str to Measurement
    missing : tuple of str
        Analytes that the file names without a value.
    notes : tuple of str
        What was assumed or left out.
    refused : mapping of str to str
        Analytes whose value could not be read, each with what was wrong.
    extra : mapping of str to str
        Columns of the patient's rows that are no values of the panel, as text.
    place : str
        Where the patient's first row stood.
    person, visit : str
        Who, and which occasion, where each occasion of a person is a panel of its own.
    weeks : float, optional
        Since the first occasion of the person, where it can be told.
    """

    patient: str
    measurements: Mapping[str, Measurement]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    person: str = ""
    visit: str = ""
    weeks: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class PanelFile(Shown):
    """The panels of one file, with its path, its SHA-256, its format and the warnings that reading gave.

    ``columns`` are the header of a table, ``decimal`` its decimal sign.
    """

    path: str
    sha256: str
    panels: tuple[Panel, ...]
    warnings: tuple[str, ...] = ()
    format: str = ""
    columns: tuple[str, ...] = ()
    decimal: str = "."

    def to_frame(self) -> pd.DataFrame:
        """One row per value: patient, analyte, value in the analyte's own unit, what it was given as and where.

        ``censored`` is empty for an exact value, see `Measurement`.
        """
        import pandas as pd

        columns = ("patient", "analyte", "value", "upper", "censored", "given", "place", "specimen", "quality")
        rows = [
            (p.patient, m.analyte, m.value, m.upper, m.censored, m.given, m.place, m.specimen, m.quality)
            for p in self.panels
            for m in p.measurements.values()
        ]
        return pd.DataFrame(rows, columns=list(columns))
