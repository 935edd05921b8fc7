"""Where a value lies in health: the reference range that fits the person and the assay, or none at all."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Literal

from scipy.special import ndtr

from crosstalk.knowledge.records import Analyte, ReferenceRange
from crosstalk.panel.records import Measurement

__all__ = ["percentile", "position"]

Position = Literal["below", "within", "above", "unknown"]

# analytes whose assays differ by less than this (log SD) may be read against a range of another assay
COMPARABLE_ASSAYS = 0.25
Z = 1.959964


def position(
    analyte: Analyte,
    measurement: Measurement,
    *,
    sex: float | None = None,
    age: float | None = None,
    bmi: float | None = None,
) -> tuple[ReferenceRange | None, Position, float | None]:
    """Hold a measurement against the reference range that fits it.

    Parameters
    ----------
    sex : float, optional
        1 female, 0 male.
    age : float, optional [years]
    bmi : float, optional [kg/m2]

    Returns
    -------
    (ReferenceRange or None, position, percentile or None)
        No range for this assay, specimen or person means no position, never a guess.
    """
    fitting = [r for r in analyte.references if _fits(r, measurement, sex, age, bmi)]
    chosen = _choose(fitting, analyte, measurement)
    if chosen is None:
        return None, "unknown", None
    value = measurement.value
    if measurement.censored == "left":
        return chosen, "below" if value <= chosen.p2_5 else "unknown", None
    if measurement.censored == "right":
        return chosen, "above" if value >= chosen.p97_5 else "unknown", None
    where: Position = "below" if value < chosen.p2_5 else "above" if value > chosen.p97_5 else "within"
    return chosen, where, percentile(chosen, value)


def percentile(reference: ReferenceRange, value: float) -> float | None:
    """Percentile of a value, 0 to 100, by a two-piece log-normal through the 2.5th, 50th and 97.5th percentile.

    Examples
    --------
    >>> from crosstalk.knowledge.records import Source
    >>> range_ = ReferenceRange("ELISA", "serum", 2.0, 1.0, 4.0, Source("assumed", "example"))
    >>> round(percentile(range_, 2.0)), round(percentile(range_, 4.0), 1)
    (50, 97.5)
    """
    if reference.p2_5 <= 0 or value <= 0:
        return None
    limit = reference.p97_5 if value >= reference.median else reference.p2_5
    width = abs(log(limit / reference.median))
    if width == 0:
        return None
    return float(100 * ndtr(Z * log(value / reference.median) / width))


def _fits(r: ReferenceRange, measurement: Measurement, sex: float | None, age: float | None, bmi: float | None) -> bool:
    if measurement.specimen and r.specimen and measurement.specimen.lower() != r.specimen.lower():
        return False
    if r.sex != "any" and (sex is None or (r.sex == "female") != (sex > 0.5)):
        return False
    if age is not None and not r.age[0] <= age < r.age[1]:
        return False
    return bmi is None or r.bmi[0] <= bmi < r.bmi[1]


def _choose(fitting: Sequence[ReferenceRange], analyte: Analyte, measurement: Measurement) -> ReferenceRange | None:
    if measurement.method:
        same = [r for r in fitting if r.assay.lower() in (measurement.method.lower(), "any")]
        return same[0] if same else None
    if analyte.offset_log_sd <= COMPARABLE_ASSAYS and fitting:
        return fitting[0]
    return None
