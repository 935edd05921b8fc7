"""Statistics of stratified, clustered and weighted samples: means, ratios, quantiles, with the errors of the design.

Variances are those of Taylor linearisation: each person has a score, the influence on the statistic; the variance is
that of the totals of scores between the primary units of a stratum, as if these were drawn with replacement (Binder
1983, doi 10.2307/1402588). A part of the sample (a domain) is marked and never cut out, so that a primary unit without
anybody in it counts as a total of zero.

A stratum with one primary unit has no variance within it. That is an error here, as is R's default
(``survey.lonely.psu = "fail"``): keep the whole sample, and mark the group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import PanelError, check_level

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SurveyDesign", "SurveyEstimate", "mean", "mean_scores", "pool", "quantile", "ratio"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_WEIGHT = re.compile(r"WT(INT|MEC|SAF)(2YR|PRP)")


@dataclass(frozen=True)
class SurveyEstimate:
    """A statistic of a population.

    Attributes
    ----------
    value, se : float
        In the unit of what was measured. ``se`` is NaN where the confidence interval of a quantile leaves the sample.
    n : int
        People behind it.
    df : int
        Degrees of freedom: primary units less strata, of those with people in the domain.
    """

    value: float
    se: float
    n: int
    df: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Symmetric interval by Student's t."""
        from scipy.stats import t

        check_level(level)
        half = float(t.ppf(0.5 + level / 2, self.df)) * self.se
        return self.value - half, self.value + half


@dataclass(frozen=True)
class SurveyDesign:
    """Design of a survey: who belongs to which primary unit of which stratum, and for how many people each stands.

    Attributes
    ----------
    unit : array of int, shape (n,)
        Primary unit of each person, numbered through all strata.
    stratum : array of int, shape (n_units,)
        Stratum of each primary unit.
    weights : array, shape (n,)
        People that each stands for; 0 where the weight is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> design = SurveyDesign.of(strata=[1, 1, 1, 1], units=[1, 1, 2, 2], weights=[1.0, 1.0, 1.0, 1.0])
    >>> found = mean(design, np.array([0.0, 1.0, 1.0, 1.0]))
    >>> found.value, found.se, found.df
    (0.75, 0.25, 1)
    """

    unit: NDArray[np.int64]
    stratum: NDArray[np.int64]
    weights: Array

    @classmethod
    def of(cls, strata: ArrayLike, units: ArrayLike, weights: ArrayLike) -> SurveyDesign:
        """Number the primary units.

        Parameters
        ----------
        strata, units : array-like, shape (n,)
            Labels; the same label of a unit in two strata means two units.
        weights : array-like, shape (n,)

        Raises
        ------
        PanelError
            If a stratum has one primary unit, a label is missing, or a weight is negative.
        """
        labels = [np.asarray(a) for a in (strata, units)]
        for name, a in zip(("stratum", "primary unit"), labels, strict=True):
            if a.dtype.kind == "f" and np.isnan(a).any():
                raise PanelError(f"{int(np.isnan(a).sum())} people without {name}; drop them from the sample")
        w = np.nan_to_num(np.asarray(weights, dtype=float), nan=0.0)
        if not len(w) == len(labels[0]) == len(labels[1]):
            raise PanelError(f"received {len(labels[0])} strata, {len(labels[1])} units and {len(w)} weights")
        if (w < 0).any():
            raise PanelError("received a negative weight; expected how many people each stands for")
        _, of_person = np.unique(labels[0], return_inverse=True)
        _, within = np.unique(labels[1], return_inverse=True)
        code = of_person.astype(np.int64) * (int(within.max(initial=0)) + 1) + within
        _, first, unit = np.unique(code, return_index=True, return_inverse=True)
        stratum = of_person[first].astype(np.int64)
        size = np.bincount(stratum)
        if (size < 2).any():
            lonely = np.unique(labels[0])[int(np.argmin(size))]
            raise PanelError(
                f"stratum {lonely} has one primary unit, so that its variance is unknown; keep the whole sample and "
                "mark the group by a mask, or join the stratum to another"
            )
        return cls(unit.astype(np.int64), stratum, w)

    @classmethod
    def of_table(cls, table: pd.DataFrame, weight: str = "WTMEC2YR") -> SurveyDesign:
        """Design of an NHANES table: columns ``SDMVSTRA``, ``SDMVPSU`` and the weight."""
        missing = [c for c in ("SDMVSTRA", "SDMVPSU", weight) if c not in table]
        if missing:
            raise PanelError(f"the table has no column {', '.join(missing)}; it comes with the demographics (DEMO)")
        return cls.of(table["SDMVSTRA"].to_numpy(), table["SDMVPSU"].to_numpy(), table[weight].to_numpy(dtype=float))

    def error(self, scores: Array) -> float:
        """Standard error of a statistic from its linearised scores, 0 for people who are not in it."""
        totals = np.bincount(self.unit, scores, len(self.stratum))
        n = np.bincount(self.stratum)
        apart = totals - (np.bincount(self.stratum, totals) / n)[self.stratum]
        return float(np.sqrt(np.sum((n / (n - 1))[self.stratum] * apart**2)))

    def freedom(self, part: Mask) -> int:
        """Degrees of freedom of a domain: its primary units less its strata."""
        units = np.unique(self.unit[part & (self.weights > 0)])
        return len(units) - len(np.unique(self.stratum[units]))


def mean(design: SurveyDesign, values: ArrayLike, group: ArrayLike | None = None) -> SurveyEstimate:
    """Weighted mean of a domain, or prevalence where the values are 0 and 1; NaN is unknown and left out.

    Parameters
    ----------
    values : array-like, shape (n,)
    group : array-like of bool, shape (n,), optional
        The domain; everybody by default.
    """
    value, scores, part = mean_scores(design, values, group)
    return SurveyEstimate(value, design.error(scores), int(part.sum()), design.freedom(part))


def mean_scores(design: SurveyDesign, values: ArrayLike, group: ArrayLike | None = None) -> tuple[float, Array, Mask]:
    """Weighted mean, its linearised scores, and who is in it: what other statistics of means are made of."""
    x, part = _domain(design, values, group)
    w = np.where(part, design.weights, 0.0)
    value = float((w * x).sum() / w.sum())
    return value, w * (x - value) / w.sum(), part


def ratio(
    design: SurveyDesign, numerator: ArrayLike, denominator: ArrayLike, group: ArrayLike | None = None
) -> SurveyEstimate:
    """Ratio of two weighted totals of a domain."""
    top, known = _domain(design, numerator, group)
    bottom, part = _domain(design, denominator, known)
    w = np.where(part, design.weights, 0.0)
    total = float((w * bottom).sum())
    if total == 0:
        raise PanelError("the denominator of the ratio sums to 0")
    value = float((w * top).sum() / total)
    return SurveyEstimate(
        value, design.error(w * (top - value * bottom) / total), int(part.sum()), design.freedom(part)
    )


def quantile(design: SurveyDesign, values: ArrayLike, share: float, group: ArrayLike | None = None) -> SurveyEstimate:
    """Weighted quantile of a domain: the smallest value with a share of the weight of ``share`` or more at or below it.

    That is the rule ``math`` (the same as ``hf1``), which is, with the interval of type ``mean``, the default of
    ``svyquantile`` in the R package survey 4.1 (where a share is smaller than the first weight, R takes the second
    value). The standard error is the length of Woodruff's interval over twice the quantile of Student's t: the interval
    of the share of people at or below the quantile, carried over to values (Woodruff 1952, doi
    10.1080/01621459.1952.10483443).

    Parameters
    ----------
    share : float
        Between 0 and 1.
    """
    from scipy.stats import t

    if not 0 < share < 1:
        raise PanelError(f"received the share {share:g} for a quantile; expected a number between 0 and 1")
    x, part = _domain(design, values, group)
    order = np.argsort(x[part], kind="stable")
    ordered = x[part][order]
    cumulative = np.cumsum(design.weights[part][order])

    def at(p: float) -> float:
        return float(ordered[min(int(np.searchsorted(cumulative, p * cumulative[-1])), len(ordered) - 1)])

    value = at(share)
    below = mean(design, (x <= value).astype(float), part)
    half = float(t.ppf(0.975, below.df)) * below.se if below.df else np.nan
    low, high = below.value - half, below.value + half
    se = np.nan if not (low >= 0 and high <= 1) else (at(high) - at(low)) / (2 * float(t.ppf(0.975, below.df)))
    return SurveyEstimate(value, se, below.n, below.df)


def _domain(design: SurveyDesign, values: ArrayLike, group: ArrayLike | None) -> tuple[Array, Mask]:
    """Values with 0 for the unknown, and who is in the domain, is known and has a weight."""
    x = np.asarray(values, dtype=float)
    if x.shape != design.weights.shape:
        raise PanelError(f"received {x.shape} values for a design of {len(design.weights)} people")
    known = ~np.isnan(x)
    part = known & (design.weights > 0) & (True if group is None else np.asarray(group, dtype=bool))
    if not part.any():
        raise PanelError("nobody of the group has a value and a weight")
    return np.where(known, x, 0.0), part


def pool(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several cycles of NHANES as one sample, each weighted by its share of the years.

    Weights keep their names without the years: ``WTINT``, ``WTMEC`` and ``WTSAF`` stand for ``WTMEC2YR`` or
    ``WTMECPRP`` times the years of the cycle over all years, 3.2 for 2017 to March 2020 and 2 for any other. Strata of
    different cycles are different strata.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        As `crosstalk.panel.nhanes.tidy` gives them.

    Raises
    ------
    PanelError
        If one has no columns ``cycle`` and ``cycle_years``, or two cover the same years.
    """
    import pandas as pd

    for table in tables:
        if not {"cycle", "cycle_years", "SDMVSTRA"} <= set(table):
            raise PanelError("a table has no columns cycle, cycle_years and SDMVSTRA; read it with nhanes.tidy")
    cycles = [str(table["cycle"].iloc[0]) for table in tables]
    if len({*cycles}) < len(cycles) or {"2017-2018", "2017-2020"} <= {*cycles}:
        raise PanelError(f"received the cycles {', '.join(cycles)}; expected each year once")
    years = [float(table["cycle_years"].iloc[0]) for table in tables]
    parts = []
    for table, own in zip(tables, years, strict=True):
        weights: dict[str, Any] = {
            f"WT{match[1]}": table[name] * (own / sum(years))
            for name in table.columns
            if (match := _WEIGHT.fullmatch(name))
        }
        old = [name for name in table.columns if _WEIGHT.fullmatch(name)]
        strata = table["cycle"].astype(str) + "/" + table["SDMVSTRA"].astype("Int64").astype(str)
        parts.append(table.drop(columns=old).assign(SDMVSTRA=strata, **weights))
    return pd.concat(parts, ignore_index=True)
