"""What the quality control of plates gives: checks, samples, analytes, bridges, plates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crosstalk.panel.plates.dilutions import Standard
from crosstalk.panel.plates.standard_curve import Curve
from crosstalk.panel.plates.vendor import Reanalysis
from crosstalk.panel.records import Quality
from crosstalk.results import Reported

__all__ = ["AnalyteQuality", "Bridge", "Check", "Grade", "PlateQuality", "PlateReport", "SampleResult"]

Grade = Literal["pass", "doubtful", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One criterion and how it was met.

    Attributes
    ----------
    name : {"curve", "standards", "recovery", "replicates", "beads", "controls", "range", "vendor"}
    value : float, optional
    limit : str
    grade : {"pass", "doubtful", "fail"}
    message : str
    """

    name: str
    value: float | None
    limit: str
    grade: Grade
    message: str


@dataclass(frozen=True, slots=True)
class SampleResult:
    """A sample or control of one analyte, read again from its signals.

    Attributes
    ----------
    value : float, optional
        Concentration of the undiluted sample, or the limit where it is censored; none without a curve.
    censored : {"", "left", "right"}
    log_sd : float, optional
        Of the value, on the natural logarithm.
    unclipped : float, optional
        What the curve gives beyond its range.
    cv : float, optional [fraction]
        Of the replicates' concentrations; of their signals where they are outside the curve.
    count : int, optional
        The fewest beads of a well that was used.
    expected : float, optional
        Of a control.
    reported : tuple of str
        By the vendor, well by well.
    quality : {"", "doubtful", "failed"}
    """

    sample: str
    role: str
    places: tuple[str, ...]
    dilution: float
    signal: float | None
    value: float | None
    censored: Literal["", "left", "right"]
    log_sd: float | None
    unclipped: float | None
    cv: float | None
    n: int
    count: int | None
    expected: float | None
    reported: tuple[str, ...]
    quality: Quality
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnalyteQuality:
    """One analyte of one plate: its grade, its curve, its samples."""

    analyte: str
    unit: str
    lod: float | None
    grade: Grade
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    curve: Curve | None
    standards: tuple[Standard, ...]
    samples: tuple[SampleResult, ...]
    vendor: Reanalysis | None


@dataclass(frozen=True, slots=True)
class PlateQuality:
    """One plate; its grade is that of its worst analyte."""

    path: str
    sha256: str
    plate: str
    assay: str
    instrument: str
    read_at: str
    software: str
    grade: Grade
    analytes: tuple[AnalyteQuality, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bridge:
    """How one plate stands to another by the samples that both carry.

    Attributes
    ----------
    log_ratio, low, high : float
        Mean of ``log(second / first)`` and its 95 % interval: by the spread between samples, or by the uncertainty of
        the values where there is one sample.
    """

    analyte: str
    first: str
    second: str
    samples: tuple[str, ...]
    log_ratio: float
    low: float
    high: float
    grade: Grade
    message: str


@dataclass(frozen=True, slots=True, repr=False)
class PlateReport(Reported):
    """Quality of one or more plates, and how they agree with each other."""

    plates: tuple[PlateQuality, ...]
    bridges: tuple[Bridge, ...]
    crosstalk: str
