"""Published results on moderation on one scale: SD of the outcome per SD of the marker, below 0 where more is better.

A coefficient is multiplied by the steps of the marker in one SD and divided by the SD of the outcome; standard
errors go with it, the SDs being taken as known.

========================= ============================================================================================
step of the marker        steps in one SD; m and s are mean and SD of the marker on its own scale
========================= ============================================================================================
ln, log2, log10           s, s / ln 2, s / ln 10; for a marker that is used as it is, log-normal from m and s
sd, sd-ln                 1 on the marker's own scale
unit                      s / step; for a marker that is used by its logarithm E (exp(s^2) - 1) / (s step), with
                          E = exp(m + s^2 / 2): the least-squares line through a relation that is linear in the
                          logarithm [1]_
sd of a log-scale marker  sqrt(exp(s^2) - 1) / s, by the same argument
stratum                   1 / d, d the distance of the means of the two strata of a normal marker in SD
========================= ============================================================================================

Outcomes: points by the SD of the score; odds ratios and logits of shares by pi / sqrt 3, the SD of a logistic [2]_.
A correlation r is such a slope itself, its error (1 - r^2) times that of Fisher's z. A standardized difference d of
the marker between responders and others becomes the biserial correlation
d p (1 - p) / (phi(z) sqrt(1 + d^2 p (1 - p))), p the share of responders and phi the normal density at its
quantile z [3]_.

.. [1] Aitchison J, Brown JAC. The Lognormal Distribution. Cambridge University Press 1957.
.. [2] Chinn S. A simple method for converting an odds ratio to effect size for use in meta-analysis. Stat Med 2000.
   doi:10.1002/1097-0258(20001130)19:22<3127::AID-SIM784>3.0.CO;2-M
.. [3] Jacobs P, Viechtbauer W. Estimation of the biserial correlation and its sampling variance for use in
   meta-analysis. Res Synth Methods 2017. doi:10.1002/jrsm.1218
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, log, sqrt
from statistics import NormalDist

from crosstalk.errors import EvidenceError
from crosstalk.evidence.listing import stratum_text
from crosstalk.knowledge.questions import MarkerScale
from crosstalk.study.endpoints import LOGISTIC_SD
from crosstalk.study.records import Eligibility, Marker

__all__ = ["LOGISTIC_SD", "biserial", "from_correlation", "share_logit", "steps_per_sd", "strata_slope", "stratum_mean"]

NORMAL = NormalDist()


def steps_per_sd(marker: Marker, spread: MarkerScale) -> float:
    """How many of a marker's published steps one SD of it is: the factor of a coefficient.

    Examples
    --------
    >>> from crosstalk.knowledge.records import Source
    >>> crp = MarkerScale("hsCRP", "ln", 0.8, 1.2, Source("assumed", "example"))
    >>> round(steps_per_sd(Marker("hsCRP", "log2"), crp), 3)
    1.731
    """
    log_sd, center = _logarithm(spread)
    if marker.per in ("ln", "log2", "log10"):
        return log_sd / {"ln": 1.0, "log2": log(2), "log10": log(10)}[marker.per]
    if marker.per == "stratum":
        below = marker.min if marker.max is None else marker.max
        upper = stratum_mean(Eligibility(marker.analyte, marker.unit, min=marker.min), spread)
        lower = stratum_mean(Eligibility(marker.analyte, marker.unit, max=below), spread)
        return 1 / (upper - lower)
    logarithmic = spread.scale == "ln"
    if marker.per == "sd-ln":
        return 1.0
    skew = sqrt(expm1(log_sd**2)) / log_sd if logarithmic else 1.0
    if marker.per == "sd":
        return skew
    raw_sd = exp(center + log_sd**2 / 2) * sqrt(expm1(log_sd**2)) if logarithmic else spread.sd
    return skew * raw_sd / marker.step


def stratum_mean(limits: Eligibility, spread: MarkerScale) -> float:
    """Mean of a normal marker within limits, in SD from its center."""

    def standard(limit: float | None) -> float | None:
        if limit is None or (spread.scale == "ln" and limit <= 0):
            return None
        return ((log(limit) if spread.scale == "ln" else limit) - spread.center) / spread.sd

    low, high = standard(limits.min), standard(limits.max)
    below = 0.0 if low is None else NORMAL.cdf(low)
    above = 1.0 if high is None else NORMAL.cdf(high)
    density = (0.0 if low is None else NORMAL.pdf(low)) - (0.0 if high is None else NORMAL.pdf(high))
    if above - below < 1e-9:
        raise EvidenceError(f"nobody has {stratum_text(limits)}; correct the limits of the stratum")
    return density / (above - below)


def strata_slope(points: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Weighted least-squares slope through (mean of the marker, value, standard error) of disjoint strata."""
    weights = [1 / se**2 for _, _, se in points]
    total = sum(weights)
    center = sum(w * x for w, (x, _, _) in zip(weights, points, strict=True)) / total
    square = sum(w * (x - center) ** 2 for w, (x, _, _) in zip(weights, points, strict=True))
    if len(points) < 2 or not square > 0:
        raise EvidenceError(f"received {len(points)} strata, expected two or more with different means")
    slope = sum(w * (x - center) * y for w, (x, y, _) in zip(weights, points, strict=True)) / square
    return slope, 1 / sqrt(square)


def from_correlation(r: float, z_error: float) -> tuple[float, float]:
    """Slope and its error from a correlation and the error of its Fisher's z."""
    return r, (1 - r * r) * z_error


def biserial(d: float, se: float, responders: float = 0.5) -> tuple[float, float]:
    """Biserial correlation of a marker with improvement from its standardized difference, and its error."""
    spread = responders * (1 - responders)
    factor = spread / NORMAL.pdf(NORMAL.inv_cdf(responders))
    root = sqrt(1 + d * d * spread)
    return factor * d / root, factor * se / root**3


def share_logit(share: float, se: float) -> tuple[float, float]:
    """Logit of a share and its standard error.

    Raises
    ------
    ValueError
        If the share is 0 or 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share of {share:g} has no logit")
    return log(share / (1 - share)), se / (share * (1 - share))


def _logarithm(spread: MarkerScale) -> tuple[float, float]:
    """SD and mean of the logarithm of a marker."""
    if spread.scale == "ln":
        return spread.sd, spread.center
    variance = log(1 + (spread.sd / spread.center) ** 2)
    return sqrt(variance), log(spread.center) - variance / 2
