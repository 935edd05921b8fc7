"""Where a value lies in health: the reference range that fits the person and the assay, or none at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, log, nextafter
from typing import Literal

from scipy.special import betaincinv, ndtr, ndtri

from crosstalk.knowledge.records import Analyte, ReferenceRange
from crosstalk.panel.records import Measurement
from crosstalk.panel.vocabulary import FED, fasting

__all__ = ["Placement", "ends", "percentile", "position", "same_family", "side", "z_score"]

Position = Literal["below", "within", "above", "unknown"]

# analytes whose assays differ by less than this (log SD) may be read against a range of another assay
COMPARABLE_ASSAYS = 0.25
EVERYBODY = {"age": (18.0, 120.0), "bmi": (0.0, 100.0)}
# names of one maker for one platform, as words
SPELLINGS = (("meso scale discovery", "msd"), ("mesoscale discovery", "msd"), ("meso scale", "msd"))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a measurement lies in health.

    Attributes
    ----------
    range : ReferenceRange, optional
        The range that it was held against; none where no range fits the assay, the specimen or the person.
    where : {"below", "within", "above", "unknown"}
        Against the central 95 %; ``unknown`` where there is no range, or where a censored value may lie on both sides
        of a limit.
    percentile : float, optional
        0 to 100; none for a censored value.
    z : float, optional
        The percentile as a score of the standard normal distribution.
    lo90, hi90 : float, optional
        Between these percentiles the value lies with 90 %, given that the range rests on so many people; none where
        their number is unknown. For a censored value, all percentiles that it may have.
    """

    range: ReferenceRange | None = None
    where: Position = "unknown"
    percentile: float | None = None
    z: float | None = None
    lo90: float | None = None
    hi90: float | None = None


def position(
    analyte: Analyte,
    measurement: Measurement,
    *,
    sex: float | None = None,
    age: float | None = None,
    bmi: float | None = None,
) -> Placement:
    """Hold a measurement against the reference range that fits it.

    A range must be of the same assay family (`same_family`), specimen, sex, age and BMI. Where the panel names no
    method, a range may be used only if assays of the analyte agree. Of several, that of the narrowest group is taken,
    and of equally narrow ones the first of the table. What is not known of the person is left open: a range for all
    ages goes before one for some, and where there are only ranges for some ages, none is picked.

    A failed value has no position.

    Parameters
    ----------
    sex : float, optional
        1 female, 0 male.
    age : float, optional [years]
    bmi : float, optional [kg/m2]

    Notes
    -----
    The percentile is the share of reference people below the value. Its interval is that of a share: with n people (of
    a survey, the effective number) it holds the central 90 % of a beta distribution with n p + 1/2 and n (1 - p) + 1/2
    (Jeffreys; Brown 2001, doi 10.1214/ss/1009213286).
    """
    if measurement.quality == "failed":
        return Placement()
    fitting = [r for r in analyte.references if _fits(r, measurement, sex, age, bmi)]
    unknown = {name for name, value in (("age", age), ("bmi", bmi)) if value is None}
    chosen = _choose(fitting, analyte, measurement, unknown)
    if chosen is None:
        return Placement()
    low, high = ends(measurement)
    first, last = (side(chosen, v) for v in (low, high))
    where: Position = first if first == last else "unknown"
    z = z_score(chosen, measurement.value) if not measurement.censored else None
    share = None if z is None else float(100 * ndtr(z))
    bounds = (_bound(chosen, low, 0.05), _bound(chosen, high, 0.95))
    lo90, hi90 = bounds if None not in bounds else (None, None)
    return Placement(chosen, where, share, z, lo90, hi90)


def percentile(reference: ReferenceRange, value: float) -> float | None:
    """Percentile of a value, 0 to 100; see `z_score`.

    Examples
    --------
    >>> from crosstalk.knowledge.records import Source
    >>> range_ = ReferenceRange("ELISA", "serum", 2.0, 1.0, 4.0, Source("assumed", "example"))
    >>> round(percentile(range_, 2.0)), round(percentile(range_, 4.0), 1)
    (50, 97.5)
    """
    z = z_score(reference, value)
    return None if z is None else float(100 * ndtr(z))


def z_score(reference: ReferenceRange, value: float) -> float | None:
    """Standard normal score of a value: linear in its logarithm between the percentiles that the range gives.

    Beyond the outer percentiles the last piece goes on. None where a limit or the value is not above 0.
    """
    if reference.p2_5 <= 0 or value <= 0:
        return None
    known = ((2.5, reference.p2_5), (25, reference.p25), (50, reference.median), (75, reference.p75),
             (97.5, reference.p97_5))  # fmt: skip
    knots = [(share, limit) for share, limit in known if limit is not None]
    # coarse counts may have two equal percentiles: the outer ones and the median stay
    firm = (reference.p2_5, reference.median, reference.p97_5)
    knots = [k for k in knots if k[0] in (2.5, 50, 97.5) or k[1] not in firm]
    pieces = list(pairwise(knots))
    (share, limit), (next_share, next_limit) = next((p for p in pieces if value <= p[1][1]), pieces[-1])
    z, next_z = float(ndtri(share / 100)), float(ndtri(next_share / 100))
    return z + (next_z - z) * log(value / limit) / log(next_limit / limit)


def same_family(family: str, method: str) -> bool:
    """Whether a method belongs to an assay family: the family's words stand at the start of the method's.

    Examples
    --------
    >>> same_family("MSD V-PLEX", "MSD V-PLEX Proinflammatory Panel 1 (human)")
    True
    >>> same_family("MSD V-PLEX", "MSD S-PLEX"), same_family("ELISA", "R&D Quantikine ELISA")
    (False, False)
    """
    own, other = _words(family), _words(method)
    return bool(own) and other[: len(own)] == own


def _words(text: str) -> list[str]:
    joined = " ".join(re.findall(r"[^\W_]+", text.casefold().replace("-", "")))
    for long, short in SPELLINGS:
        joined = joined.replace(long, short)
    return joined.split()


def _fits(r: ReferenceRange, measurement: Measurement, sex: float | None, age: float | None, bmi: float | None) -> bool:
    if not _same_specimen(r.specimen, measurement):
        return False
    if r.sex != "any" and (sex is None or (r.sex == "female") != (sex > 0.5)):
        return False
    if age is not None and not r.age[0] <= age < r.age[1]:
        return False
    return bmi is None or r.bmi[0] <= bmi < r.bmi[1]


def _same_specimen(of_range: str, measurement: Measurement) -> bool:
    """Whether the fluids agree, as far as both are named, and a range of fasting people is for fasting ones."""
    of_value = measurement.specimen
    fluids = [text.lower().split(",")[0].strip() for text in (of_range, of_value)]
    fluids = ["" if text in ("fasting", "not fasting") else text for text in fluids]
    if all(fluids) and fluids[0] != fluids[1]:
        return False
    wanted, said = fasting(of_range), fasting(of_value)
    if measurement.analyte not in FED:
        return wanted is None or said is None or wanted == said
    return said is True if wanted else not (wanted is False and said)


def _narrow(r: ReferenceRange) -> set[str]:
    """What the range is restricted to."""
    found = {name for name, everybody in EVERYBODY.items() if getattr(r, name) != everybody}
    return found | ({"sex"} if r.sex != "any" else set())


def _choose(
    fitting: Sequence[ReferenceRange], analyte: Analyte, measurement: Measurement, unknown: set[str]
) -> ReferenceRange | None:
    if measurement.method:
        fitting = [r for r in fitting if r.assay.lower() == "any" or same_family(r.assay, measurement.method)]
    elif analyte.offset_log_sd > COMPARABLE_ASSAYS:
        return None
    if not fitting:
        return None
    # one assay and specimen: that of the most specific family named, else the first of the table
    first = max(fitting, key=lambda r: len(_words(r.assay)) if measurement.method and r.assay.lower() != "any" else 0)
    alike = [r for r in fitting if (r.assay, r.specimen) == (first.assay, first.specimen)]
    open_ = [r for r in alike if not _narrow(r) & unknown]
    if not open_ and len(alike) > 1:
        return None
    return max(open_ or alike, key=lambda r: len(_narrow(r)))


def ends(measurement: Measurement) -> tuple[float, float]:
    """Between which values the truth lies; what is below a limit does not reach it."""
    value = measurement.value
    if measurement.censored == "left":
        return 0.0, nextafter(value, 0.0)
    if measurement.censored == "right":
        return nextafter(value, inf), inf
    if measurement.censored == "interval" and measurement.upper is not None:
        return value, measurement.upper
    return value, value


def side(r: ReferenceRange, value: float) -> Position:
    """Where one value lies in a range."""
    return "below" if value < r.p2_5 else "above" if value > r.p97_5 else "within"


def _bound(r: ReferenceRange, value: float, tail: float) -> float | None:
    n = r.n_effective or r.n
    if n is None:
        return None
    if value in (0.0, inf):
        return 0.0 if value == 0 else 100.0
    share = percentile(r, value)
    if share is None:
        return None
    return float(100 * betaincinv(n * share / 100 + 0.5, n * (1 - share / 100) + 0.5, tail))
