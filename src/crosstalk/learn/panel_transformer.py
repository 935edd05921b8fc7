"""Panels to numbers that a regression can take: censored values kept as censored, sites harmonised, in training rows.

Everything is learned in ``fit``: the distribution of each analyte given the covariates (maximum likelihood of censored
values, `crosstalk.statistics.censored`), the shifts between batches (`crosstalk.statistics.combat`), what fills a gap.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from crosstalk.errors import PanelError
from crosstalk.learn.columns import ColumnError, ColumnWarning, Layout, Others, TableReader
from crosstalk.learn.table_transformer import TableTransformer
from crosstalk.statistics.censored import CensoredSample, LogNormalFit, fit_lognormal, log_interval_probability
from crosstalk.statistics.combat import ComBat

__all__ = ["PanelTransformer", "truncated_mean"]

Array = NDArray[np.float64]

SHARE = 0.2  # of censored values from which being censored is a feature of its own (assumed)


def truncated_mean(mean: Array, sd: float, low: Array, high: Array) -> Array:
    """Expectation of a normal number known to lie between two limits, shape (n,).

    Parameters
    ----------
    mean : array, shape (n,)
    sd : float
    low, high : array, shape (n,)
        Equal where the number is known; infinite where there is no limit.

    Examples
    --------
    >>> truncated_mean(np.zeros(3), 1.0, np.array([-np.inf, 0.5, -np.inf]), np.array([0.0, 0.5, np.inf])).round(4)
    array([-0.7979,  0.5   ,  0.    ])
    """
    known = low == high
    with np.errstate(invalid="ignore"):
        a, b = np.where(known, -1.0, (low - mean) / sd), np.where(known, 1.0, (high - mean) / sd)
    log_p = log_interval_probability(a, b)
    with np.errstate(under="ignore"):
        density_a, density_b = (np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_p) for z in (a, b))
    inside = np.clip(mean + sd * (density_a - density_b), low, high)
    return np.asarray(np.where(known, low, inside), dtype=np.float64)


class PanelTransformer(TableTransformer):
    """Logarithms of a panel's laboratory values, and its covariates and scores as numbers.

    A censored value becomes its expectation given its limit and the covariates, a missing one its expectation given the
    covariates. Where many values of an analyte are censored, being so is a feature of its own.

    Parameters
    ----------
    layout : {"wide", "cohort"}, default="wide"
        See `crosstalk.learn.columns`.
    covariates : sequence of str, default=("age", "sex", "BMI")
        Analytes that the others are regressed on, as far as X has them and they vary.
    batch : str, optional
        Column that names the site, plate or kit: logarithms are harmonised by ComBat, which protects the covariates.
    unseen : {"refuse", "shrink"}, default="refuse"
        What to do with a batch that was not in the training rows, see `crosstalk.statistics.combat.ComBat`.
    censoring_share : float, default=0.2
        Share of censored values from which there is an indicator (assumed).
    others : {"refuse", "ignore", "pass"}, default="refuse"
        Columns that are no analyte: an error, left out, or passed through as numbers. Columns of an array have no
        names and are such.

    Attributes
    ----------
    fits_ : dict of str to LogNormalFit
        The distribution of each analyte in the training rows.
    left_out_ : dict of str to str
        Analytes whose distribution the training rows cannot tell, and why.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Raises
    ------
    ColumnError
        If a column or a cell cannot be read.
    HarmonisationError
        From ComBat.

    Warns
    -----
    ColumnWarning
        If an analyte is left out, or a cell had to be interpreted.

    References
    ----------
    Conditional expectation of censored predictors: Richardson and Ciampi 2003, doi 10.1093/aje/kwf217.

    Examples
    --------
    >>> import pandas as pd
    >>> crp, age = ["<0.5", "1.2", "3.1", "<0.5", "8.0", "2.2"], [30, 40, 50, 35, 61, 45]
    >>> X = pd.DataFrame({"hsCRP [mg/L]": crp, "age [year]": age})
    >>> step = PanelTransformer().fit(X)
    >>> list(step.get_feature_names_out())
    ['log hsCRP', 'hsCRP censored', 'age']
    >>> bool(step.transform(X)[0, 0] < np.log(0.5))
    True
    """

    def __init__(
        self,
        *,
        layout: Layout = "wide",
        covariates: Sequence[str] = ("age", "sex", "BMI"),
        batch: str | None = None,
        unseen: Literal["refuse", "shrink"] = "refuse",
        censoring_share: float = SHARE,
        others: Others = "refuse",
    ) -> None:
        self.layout = layout
        self.covariates = covariates
        self.batch = batch
        self.unseen = unseen
        self.censoring_share = censoring_share
        self.others = others

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn distributions, batches and fillings.

        Parameters
        ----------
        X : data frame, shape (n_samples, n_features)
        y : ignored
        """
        if not 0 < self.censoring_share <= 1:
            raise ColumnError(f"censoring_share={self.censoring_share!r}; expected a share above 0 and up to 1")
        table = self._table(X, reset=True)
        self._reader = TableReader(
            list(getattr(self, "feature_names_in_", ())), table.shape[1], self.layout, self.others,
            () if self.batch is None else (self.batch,),
        )  # fmt: skip
        self._laboratory = [c for c in self._reader.columns if c.analyte.kind == "laboratory"]
        self._numeric = [c for c in self._reader.columns if c.analyte.kind != "laboratory"]
        self._plain = self._reader.rest if self.others == "pass" else []
        self._batch_at = self._position()
        numbers = self._numbers(table)
        self._fill = np.array([np.nanmean(c) if np.isfinite(c).any() else 0.0 for c in numbers.T])
        numbers = np.where(np.isnan(numbers), self._fill, numbers)
        wanted = [j for j, c in enumerate(self._numeric) if c.analyte.id in self.covariates]
        self._regressors = [j for j in wanted if numbers[:, j].std() > 0]
        covariates = {self._numeric[j].analyte.id: numbers[:, j] for j in self._regressors}
        labels = self._labels(table)
        self._known = set(labels)
        self._batches = sorted(self._known, key=str)[1:]  # the first is what the others differ from
        self._batch_means = {b: float(np.mean([label == b for label in labels])) for b in self._batches}
        batches = self._dummies(labels)

        self.fits_: dict[str, LogNormalFit] = {}
        self.left_out_: dict[str, str] = {}
        self._flagged: set[str] = set()
        for column in self._laboratory:
            name = column.analyte.id
            low, high = self._reader.limits(column, table)
            sample = CensoredSample(low, high, name)
            counts = sample.counts
            present = len(sample) - counts["missing"]
            if present and (present - counts["exact"]) / present >= self.censoring_share:
                self._flagged.add(name)
            try:
                self.fits_[name] = _fit(sample, ({**covariates, **batches}, covariates, {}))
            except PanelError as error:
                self.left_out_[name] = str(error)
                warnings.warn(ColumnWarning(f"{name} has no logarithm among the features: {error}"), stacklevel=2)
        if self.batch is not None and self.fits_:
            self._combat = ComBat(0, range(1, 1 + len(self._regressors)), unseen=self.unseen)
            self._combat.fit(self._to_harmonise(labels, numbers, self._logs(table, numbers, labels)))
        self._reader.tell()
        return self

    def transform(self, X: Any) -> Array:
        """Features of each row, shape (n_samples, n_features_out), without a gap."""
        check_is_fitted(self)
        table = self._table(X, reset=False)
        numbers = self._numbers(table)
        numbers = np.where(np.isnan(numbers), self._fill, numbers)
        labels = self._labels(table)
        logs = self._logs(table, numbers, labels)
        if self.batch is not None and self.fits_:
            harmonised = self._combat.transform(self._to_harmonise(labels, numbers, logs))
            logs = harmonised[:, len(self._regressors) :]
        by_name = dict(zip(self.fits_, logs.T, strict=True))
        out: list[tuple[int, Array]] = []
        for column in self._laboratory:
            name = column.analyte.id
            if name in by_name:
                out.append((column.at, by_name[name]))
            if name in self._flagged:
                low, high = self._reader.limits(column, table)
                missing = (low == 0) & np.isinf(high)
                out.append((column.at, ((low < high) & ~missing).astype(np.float64)))
        positions = [c.at for c in self._numeric] + self._plain
        out += [(at, numbers[:, j]) for j, at in enumerate(positions)]
        out.sort(key=lambda pair: pair[0])
        self._reader.tell()
        return np.stack([v for _, v in out], axis=1) if out else np.zeros((len(table), 0))

    def _names(self) -> list[str]:
        """``log hsCRP``, ``hsCRP censored``, ``age``."""
        headers = self._headers()
        out: list[tuple[int, str]] = []
        for column in self._laboratory:
            name = column.analyte.id
            out += [(column.at, f"log {name}")] if name in self.fits_ else []
            out += [(column.at, f"{name} censored")] if name in self._flagged else []
        out += [(c.at, c.analyte.id) for c in self._numeric] + [(i, headers[i]) for i in self._plain]
        return [name for _, name in sorted(out, key=lambda pair: pair[0])]

    def _position(self) -> int:
        if self.batch is None:
            return -1
        names = [str(n) for n in getattr(self, "feature_names_in_", ())]
        if self.batch not in names:
            raise ColumnError(
                f"no column '{self.batch}' for batch=; X has {', '.join(names[:10]) or 'no column names'}"
            )
        return names.index(self.batch)

    def _labels(self, table: NDArray[Any]) -> list[Any]:
        return table[:, self._batch_at].tolist() if self._batch_at >= 0 else []

    def _dummies(self, labels: Sequence[Any]) -> dict[str, Array]:
        """Indicators of all batches but the first; one that is new is an average one."""
        return {
            f"batch {b}": np.array([float(v == b) if v in self._known else self._batch_means[b] for v in labels])
            for b in self._batches
        }

    def _numbers(self, table: NDArray[Any]) -> Array:
        columns = [self._reader.numbers(c, table) for c in self._numeric]
        plain = self._reader.plain(table, self._plain)
        return np.column_stack([*columns, plain]) if columns else plain

    def _logs(self, table: NDArray[Any], numbers: Array, labels: Sequence[Any]) -> Array:
        given = {self._numeric[j].analyte.id: numbers[:, j] for j in self._regressors}
        given.update(self._dummies(labels))
        columns = [
            _expected(self.fits_[c.analyte.id], given, *self._reader.limits(c, table))
            for c in self._laboratory
            if c.analyte.id in self.fits_
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))

    def _to_harmonise(self, labels: Sequence[Any], numbers: Array, logs: Array) -> NDArray[np.object_]:
        out = np.empty((len(labels), 1 + len(self._regressors) + logs.shape[1]), dtype=object)
        out[:, 0] = labels
        out[:, 1 : 1 + len(self._regressors)] = numbers[:, self._regressors]
        out[:, 1 + len(self._regressors) :] = logs
        return out


def _fit(sample: CensoredSample, designs: Sequence[dict[str, Array]]) -> LogNormalFit:
    """Fit with the richest design that the sample can carry."""
    for number, design in enumerate(designs):
        try:
            return fit_lognormal(sample, design)
        except PanelError:
            if number + 1 == len(designs):
                raise
    raise AssertionError("no design")


def _expected(fit: LogNormalFit, given: dict[str, Array], low: Array, high: Array) -> Array:
    mean = np.full(len(low), float(fit.coefficients[0]))
    for name, slope in zip(fit.names[1:], fit.coefficients[1:], strict=True):
        mean += slope * given[name]
    with np.errstate(divide="ignore"):
        return truncated_mean(mean, fit.log_sd, np.log(low), np.log(high))
