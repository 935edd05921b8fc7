"""Multiple imputation of censored and missing values, for methods that need numbers.

The logarithms of the analytes are taken as jointly normal around a regression on the covariates. Parameters and unknown
values are drawn in turn (data augmentation): the parameters from their posterior under Jeffreys' prior, each unknown
value from its normal distribution given all else, truncated to what was reported. So the draws respect the other
analytes and the covariates, never leave their limits, and carry the uncertainty of the parameters (proper in Rubin's
sense). An analysis is run on each completed table and the results are pooled by Rubin's rules.

References
----------
Data augmentation: Tanner and Wong 1987, doi 10.1080/01621459.1987.10478458. Below-threshold values: Hopke, Liu and
Rubin 2001, doi 10.1111/j.0006-341X.2001.00022.x. Rules: Rubin 1987, doi 10.1002/9780470316696; degrees of freedom:
Barnard and Rubin 1999, doi 10.1093/biomet/86.4.948. Substitution: Helsel 2006, doi 10.1016/j.chemosphere.2006.04.051.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri_exp

from crosstalk.errors import PanelError, UsageError
from crosstalk.statistics.censored import CensoredSample, fit_lognormal

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Imputations", "Pooled", "SubstitutionWarning", "impute", "pool", "substitute"]

Array = NDArray[np.float64]

# Rounds of drawing before the first imputation, and between two. Chosen after a simulation of two analytes of 200
# people: with three quarters of one below the limit, draws forget each other (autocorrelation below 0.1) within 25
# rounds, with seven eighths it is 0.16 after 100.
BURN_IN = 200
BETWEEN = 100
IMPUTATIONS = (
    20  # assumed: enough for the interval of an estimate whose fraction of missing information is below a half
)
HELSEL = "10.1016/j.chemosphere.2006.04.051"


class SubstitutionWarning(UserWarning):
    """Values below a limit were replaced by a made-up number."""


@dataclass(frozen=True)
class Pooled:
    """An estimate pooled over imputations by Rubin's rules.

    Attributes
    ----------
    value, se : float
    df : float
        Degrees of freedom of Barnard and Rubin.
    low, high : float
        Ends of the interval at the level asked for.
    missing_information : float
        Fraction of the estimate's information that the censored and missing values took away, by Rubin's formula.
    m : int
        Number of imputations.
    """

    value: float
    se: float
    df: float
    low: float
    high: float
    missing_information: float
    m: int


@dataclass(frozen=True)
class Imputations:
    """Completed tables: every value is a number, the known ones the same in each.

    Attributes
    ----------
    analytes : tuple of str
    values : array, shape (m, n, n_analytes) [unit of each analyte]
    covariates : mapping of str to array, shape (n,)
    """

    analytes: tuple[str, ...]
    values: Array
    covariates: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.values)

    def tables(self) -> Iterator[DataFrame]:
        """Each completed table with a column per analyte and covariate."""
        import pandas as pd

        for values in self.values:
            yield pd.DataFrame({**dict(zip(self.analytes, values.T, strict=True)), **self.covariates})

    def analyse(
        self, estimate: Callable[[DataFrame], tuple[float, float]], *, residual_df: float = np.inf, level: float = 0.95
    ) -> Pooled:
        """Run an analysis on each table and pool it.

        Parameters
        ----------
        estimate : callable
            Takes a table, gives the estimate and its variance (squared standard error).
        residual_df : float
            Degrees of freedom that the analysis would have without anything missing.
        """
        found = [estimate(table) for table in self.tables()]
        return pool([q for q, _ in found], [u for _, u in found], residual_df=residual_df, level=level)


def pool(estimates: ArrayLike, variances: ArrayLike, *, residual_df: float = np.inf, level: float = 0.95) -> Pooled:
    """Pool one estimate over imputations by Rubin's rules, with the degrees of freedom of Barnard and Rubin.

    Parameters
    ----------
    estimates, variances : array, shape (m,)
        From each completed table; a variance is a squared standard error.
    residual_df : float
        Degrees of freedom that the analysis would have without anything missing.
    level : float

    Raises
    ------
    UsageError
        If there are fewer than two, or the lengths differ.

    References
    ----------
    doi 10.1002/9780470316696, doi 10.1093/biomet/86.4.948.

    Examples
    --------
    >>> found = pool([1.0, 1.2, 1.1, 0.9], [0.04, 0.05, 0.04, 0.05], residual_df=50)
    >>> round(found.value, 3), round(found.se, 4), round(found.df, 1)
    (1.05, 0.2566, 15.7)
    """
    from scipy.special import stdtrit

    q, u = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    if q.ndim != 1 or q.shape != u.shape or len(q) < 2:
        raise UsageError(
            f"estimates {q.shape} and variances {u.shape}; expected one of each from two imputations or more"
        )
    if not (np.isfinite(q).all() and np.isfinite(u).all() and (u > 0).all()):
        raise UsageError("an estimate or variance is not a finite number, or a variance is not positive")
    m = len(q)
    within, between = float(u.mean()), float(q.var(ddof=1))
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    observed = residual_df if np.isinf(residual_df) else (residual_df + 1) / (residual_df + 3) * residual_df
    inverse = share**2 / (m - 1) + 1 / (observed * within / total)
    df = 1 / inverse if inverse > 0 else np.inf
    reach = float(stdtrit(df, (1 + level) / 2)) * np.sqrt(total)
    value = float(q.mean())
    lost = share + (1 - share) * 2 / (df + 3)  # (r + 2 / (df + 3)) / (r + 1) with r = share / (1 - share)
    return Pooled(value, float(np.sqrt(total)), float(df), value - reach, value + reach, lost, m)


def impute(
    samples: Sequence[CensoredSample],
    covariates: Mapping[str, ArrayLike] | None = None,
    *,
    m: int = IMPUTATIONS,
    seed: int = 0,
) -> Imputations:
    """Draw completed tables from the distribution of the unknown values given everything known.

    Parameters
    ----------
    samples : sequence of CensoredSample, each of length n
        The analytes of the same n people in the same order. What a later analysis relates must be among them or among
        the covariates: a relation left out here is weakened there.
    covariates : mapping of str to array, shape (n,), optional
        Age, sex, BMI and the like, complete. A positive covariate with missing values can be given as a sample instead.
    m : int
        Number of imputations.
    seed : int

    Raises
    ------
    PanelError
        If an analyte has too few quantified values to tell its distribution, a covariate is incomplete or redundant.

    Examples
    --------
    >>> crp = CensoredSample([0, 0, 1, 3, 6, 2, 5, 9], [0.5, 0.5, 1, 3, 6, 2, 5, 9], "hsCRP")
    >>> il6 = CensoredSample([0, 1, 1, 2, 3, 0, 2, 4], [0.9, 1, 1, 2, 3, np.inf, 2, 4], "IL-6")
    >>> tables = impute([crp, il6], m=5)
    >>> tables.values.shape, bool((tables.values[:, :2, 0] < 0.5).all())
    ((5, 8, 2), True)
    """
    names, n, columns = _check(samples, covariates or {}, m)
    design = _standard_design(columns, n)
    k, p = design.shape[1], len(samples)
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore"):
        low = np.log(np.stack([s.lower for s in samples], axis=1))
        high = np.log(np.stack([s.upper for s in samples], axis=1))
    unknown = low < high
    y = np.where(unknown, 0.0, low)
    for j, sample in enumerate(samples):
        if unknown[:, j].any():
            _check_quantified(sample, k + p)
            start = fit_lognormal(sample)  # refuses what cannot be told
            rows = unknown[:, j]
            y[rows, j] = _truncated(rng, float(start.coefficients[0]), start.log_sd, low[rows, j], high[rows, j])

    factor = np.linalg.cholesky(np.linalg.inv(design.T @ design))
    kept = []
    for turn in range(BURN_IN + m * BETWEEN):
        mean, precision = _draw_parameters(rng, y, design, factor)
        for j in range(p):
            rows = unknown[:, j]
            if rows.any():
                sd = 1 / np.sqrt(precision[j, j])
                others = np.delete(np.arange(p), j)
                pull = (y[rows][:, others] - mean[rows][:, others]) @ precision[others, j] / precision[j, j]
                y[rows, j] = _truncated(rng, mean[rows, j] - pull, sd, low[rows, j], high[rows, j])
        if turn >= BURN_IN and (turn - BURN_IN + 1) % BETWEEN == 0:
            kept.append(y.copy())
    exact = np.stack([s.lower for s in samples], axis=1)
    values = np.where(unknown, np.exp(np.stack(kept)), exact)  # the known ones are returned to the last digit
    return Imputations(names, values, columns)


def _check(
    samples: Sequence[CensoredSample], covariates: Mapping[str, ArrayLike], m: int
) -> tuple[tuple[str, ...], int, dict[str, Array]]:
    if not samples or m < 2:
        raise UsageError(f"received {len(samples)} analytes and m = {m}; expected one or more, and m of 2 or more")
    names = tuple(s.analyte for s in samples)
    n = len(samples[0])
    if len({*names, *covariates}) < len(names) + len(covariates) or "" in names:
        raise UsageError(f"analytes {', '.join(names)} and covariates {', '.join(covariates)}; expected distinct names")
    columns = {name: np.asarray(values, dtype=float) for name, values in covariates.items()}
    for name, length in [*((s.analyte, (len(s),)) for s in samples), *((c, v.shape) for c, v in columns.items())]:
        if length != (n,):
            raise UsageError(f"'{name}' has shape {length}; expected ({n},), one value per person")
    for name, column in columns.items():
        if not np.isfinite(column).all():
            raise PanelError(
                f"covariate '{name}' is missing for {int((~np.isfinite(column)).sum())} of {n} people; leave them out, "
                f"or give it among the analytes if it is positive"
            )
    return names, n, columns


def _standard_design(columns: Mapping[str, Array], n: int) -> Array:
    parts = [np.ones(n)]
    for name, column in columns.items():
        if column.std() == 0:
            raise PanelError(f"covariate '{name}' does not vary; leave it out")
        parts.append((column - column.mean()) / column.std())
    design = np.stack(parts, axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise PanelError(f"the covariates {', '.join(columns)} determine one another; leave one out")
    return design


def _check_quantified(sample: CensoredSample, parameters: int) -> None:
    """Without more numbers than its regression has parameters, a column's posterior is that of the prior."""
    exact = sample.counts["exact"]
    if exact <= parameters:
        raise PanelError(
            f"{sample.analyte}: {exact} of {len(sample)} values quantified, expected more than {parameters} (analytes "
            f"and covariates); its distribution cannot be told; use fewer covariates, or the share beyond the limit"
        )


def _draw_parameters(rng: np.random.Generator, y: Array, design: Array, factor: Array) -> tuple[Array, Array]:
    """Mean of each value, shape (n, p), and precision, shape (p, p), drawn from their posterior given full data."""
    (n, p), k = y.shape, design.shape[1]
    centre = factor @ (factor.T @ (design.T @ y))
    residual = y - design @ centre
    # Wishart by Bartlett's decomposition: precision ~ W(n - k, S^-1) under Jeffreys' prior
    root = np.linalg.cholesky(np.linalg.inv(residual.T @ residual))
    bartlett = np.tril(rng.standard_normal((p, p)), -1)
    bartlett[np.diag_indices(p)] = np.sqrt(rng.chisquare(n - k - np.arange(p)))
    half = root @ bartlett
    precision = half @ half.T
    spread = np.linalg.inv(half).T  # spread @ spread.T is the covariance
    coefficients = centre + factor @ rng.standard_normal((k, p)) @ spread.T
    return design @ coefficients, precision


def _truncated(rng: np.random.Generator, mean: Array | float, sd: float, low: Array, high: Array) -> Array:
    """Normal draws between limits, by the inverse of the distribution function in logarithms."""
    a, b = (low - mean) / sd, (high - mean) / sd
    flip = a > -b  # on the upper side the mirror image keeps the digits
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    log_b = log_ndtr(b)
    ratio = np.exp(log_ndtr(a) - log_b)
    u = rng.uniform(size=np.shape(log_b))
    z = ndtri_exp(log_b + np.log(ratio + u * (1 - ratio)))
    z = np.clip(np.where(np.isfinite(z), z, b), a, b)
    return np.asarray(np.clip(np.where(flip, -z, z) * sd + mean, low, high))


def substitute(sample: CensoredSample, rule: str) -> Array:
    """Replace values below the limit by half of it. Always warns; `impute` and `fit_lognormal` do it without bias.

    Parameters
    ----------
    sample : CensoredSample
    rule : str
        ``"LOD/2"``, the only one.

    Returns
    -------
    array, shape (n,) [unit of the analyte]
        Missing values are NaN.

    Raises
    ------
    UsageError
        If the rule is another.
    PanelError
        If a value is known only to lie above a limit or between two: no rule of this kind exists for it.

    Warns
    -----
    SubstitutionWarning
        With the share that was made up and, where the sample can tell, what that did to mean and spread.

    References
    ----------
    Helsel 2006, doi 10.1016/j.chemosphere.2006.04.051.
    """
    if rule != "LOD/2":
        raise UsageError(f"received the rule '{rule}'; the one substitution offered is 'LOD/2'; better: impute")
    counts = sample.counts
    if counts["right"] or counts["interval"]:
        raise PanelError(
            f"{sample.analyte}: {counts['right']} values above a limit and {counts['interval']} between limits have no "
            f"half of a limit; use impute or fit_lognormal"
        )
    left = (sample.lower == 0) & ~sample.missing
    values = np.where(left, sample.upper / 2, np.where(sample.missing, np.nan, sample.lower))
    if left.any():
        warnings.warn(SubstitutionWarning(_bias(sample, values, int(left.sum()))), stacklevel=2)
    return np.asarray(values)


def _bias(sample: CensoredSample, values: Array, made_up: int) -> str:
    known = values[~np.isnan(values)]
    words = (
        f"{sample.analyte}: {made_up} of {len(known)} values are made up as half of the limit of detection (LOD/2). "
        f"This biases means, spreads, differences and correlations in directions that depend on the share below the "
        f"limit (Helsel 2006, doi {HELSEL})"
    )
    try:
        fit = fit_lognormal(sample)
    except PanelError:
        return f"{words}; how much cannot be told from this sample. Use impute or fit_lognormal"
    logs = np.log(known)
    return (
        f"{words}; here the geometric mean becomes {np.exp(logs.mean()):.3g} in place of "
        f"{fit.geometric_mean().value:.3g} and the SD of the logarithm {logs.std(ddof=1):.3g} in place of "
        f"{fit.log_sd:.3g} by maximum likelihood. Use impute or fit_lognormal"
    )
