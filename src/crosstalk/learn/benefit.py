"""Whom a treatment helps more: the difference between two randomised treatments as a function of the patient.

Two learners. ``dr`` (doubly robust) makes of every patient an unbiased, noisy estimate of the own effect by
cross-fitted predictions of both outcomes, and regresses it on the modifiers: slopes, their intervals and one test of
whether the effect varies at all are those of a linear projection, valid whatever the predictions are worth, since
randomisation gives the propensity. ``prior`` models both outcomes as a mechanism's prediction plus a linear deviation
that is believed to be small: where data are few it says what the mechanism says, where they are many what the data say.

References
----------
DR-learner: Kennedy 2023, doi 10.1214/23-EJS2157. Linear projection: Semenova and Chernozhukov 2021, doi
10.1093/ectj/utaa027. HC3: MacKinnon and White 1985, doi 10.1016/0304-4076(85)90158-7; Long and Ervin 2000, doi
10.1080/00031305.2000.10474549. T-learner: Kuenzel et al. 2019, doi 10.1073/pnas.1804597116.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from crosstalk.errors import LearnError
from crosstalk.learn.outcome import Method, OutcomeRegressor
from crosstalk.statistics.heterogeneity import doubly_robust

__all__ = ["BenefitError", "BenefitLearner", "Effect"]

Array = NDArray[np.float64]

DOUBT = (
    0.2  # how far a mechanism's prediction may be off, in SDs of the outcome around it (assumed): 1.5 points of HAMD-17
)


class BenefitError(LearnError, ValueError):
    """An effect cannot be learned as asked; a ValueError too, since scikit-learn's callers expect one."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect, or its change per unit of a modifier, with its interval and two-sided p."""

    name: str
    value: float
    se: float
    low: float
    high: float
    p: float


class BenefitLearner(BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Effect of a randomised treatment on an outcome, by patient.

    The effect is the outcome under treatment 1 less that under 0, in the outcome's unit (a risk difference where it is
    0 or 1).

    Parameters
    ----------
    method : {"dr", "prior"}, default="dr"
        Doubly robust learner, or deviation from a mechanism's prediction.
    modifiers : sequence of int or str, optional
        Columns that the effect may depend on; all by default. With few data name few, before looking. The nuisances of
        "dr" use all columns.
    prior : (int or str, int or str), optional
        Columns that hold the mechanism's prediction of the outcome under treatment 0 and 1, such as two of
        `crosstalk.learn.mechanism.TwinForecast`. Only for "prior"; without it the effect is drawn to zero.
    doubt : float, default=0.2
        Only for "prior": SD of the deviation from the mechanism in each arm, for its mean and per SD of each modifier,
        in SDs of the outcome around it (assumed).
    propensity : float, optional
        Probability of treatment 1 by design; the share of the treated by default.
    nuisance : {"penalised", "boosting"}, default="penalised"
        How "dr" predicts outcomes, see `crosstalk.learn.outcome.OutcomeRegressor`.
    folds : int, default=5
        Of cross-fitting.
    level : float, default=0.95
        Of the intervals.
    random_state : int or None, default=0

    Attributes
    ----------
    average_ : Effect
        Mean effect in the patients seen.
    interactions_ : tuple of Effect
        Change of the effect per unit of each modifier, others held.
    heterogeneity_p_ : float
        Of the test that the effect is the same for all (F test of all slopes); NaN for "prior".
    pseudo_outcomes_ : array, shape (n_samples,)
        Each patient's own noisy effect; only for "dr".
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Raises
    ------
    BenefitError
        If the treatment is missing, is not 0 or 1, or an arm has too few patients.

    Notes
    -----
    A pseudo-outcome is ``(w - e) / (e (1 - e)) (y - m_w) + m_1 - m_0``. Covariances are HC3. "prior" is a conjugate
    normal regression of the deviations, both arms with one residual variance under Jeffreys' prior: its intervals are
    credible ones under the doubt stated, and cover as they say if the mechanism is off by as much as that.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, w = rng.standard_normal((2000, 2)), rng.integers(0, 2, 2000)
    >>> y = X[:, 1] + w * (1 + 2 * X[:, 0]) + rng.standard_normal(2000)
    >>> found = BenefitLearner().fit(X, y, treatment=w)
    >>> [round(e.value) for e in (found.average_, *found.interactions_)], found.heterogeneity_p_ < 1e-6
    ([1, 2, 0], True)
    """

    def __init__(
        self,
        method: Literal["dr", "prior"] = "dr",
        *,
        modifiers: Sequence[int | str] | None = None,
        prior: tuple[int | str, int | str] | None = None,
        doubt: float = DOUBT,
        propensity: float | None = None,
        nuisance: Method = "penalised",
        folds: int = 5,
        level: float = 0.95,
        random_state: int | None = 0,
    ) -> None:
        self.method = method
        self.modifiers = modifiers
        self.prior = prior
        self.doubt = doubt
        self.propensity = propensity
        self.nuisance = nuisance
        self.folds = folds
        self.level = level
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, treatment: ArrayLike | None = None) -> Self:
        """Learn the effect.

        Parameters
        ----------
        X : array or data frame, shape (n_samples, n_features)
            What was known before treatment; gaps of modifiers are filled with the median.
        y : array, shape (n_samples,)
        treatment : array, shape (n_samples,)
            0 or 1, as randomised.
        """
        values, outcome = validate_data(
            self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", y_numeric=True, ensure_min_samples=4
        )
        outcome = np.asarray(outcome, dtype=np.float64)
        arm = self._arm(treatment, len(outcome))
        self._settings()
        chosen = self._columns(self.modifiers) if self.modifiers is not None else list(range(values.shape[1]))
        self._prior_at = self._columns(self.prior) if self.prior is not None and self.method == "prior" else []
        self._modifiers = [i for i in chosen if i not in self._prior_at]
        part = values[:, self._modifiers]
        self._median = np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 0.0 for c in part.T])
        part = np.where(np.isfinite(part), part, self._median)
        self._center, spread = part.mean(axis=0), part.std(axis=0)
        varies = spread > 1e-12 * np.maximum(np.abs(self._center), 1.0)
        self._spread = np.where(varies, spread, np.inf)  # a modifier that does not vary has no slope
        design = self._design(values)
        if self.method == "dr":
            self._fit_dr(values, outcome, arm, design)
        else:
            self._fit_prior(values, outcome, arm, design)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Effect for each row, shape (n_samples,)."""
        return self._effect(X)[0]

    def interval(self, X: ArrayLike) -> tuple[Array, Array]:
        """Ends of the interval of the effect at ``level`` for each row, shape (n_samples,) each.

        Of "dr" it is that of the linear projection: what people like this gain on average, not what one person gains.
        """
        from scipy.stats import t

        effect, se = self._effect(X)
        reach = float(t.ppf((1 + self.level) / 2, self._df)) * se
        return effect - reach, effect + reach

    def _effect(self, X: ArrayLike) -> tuple[Array, Array]:
        check_is_fitted(self)
        values = np.asarray(validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"))
        design = self._design(values)
        se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, self._covariance, design), 0.0))
        return np.asarray(design @ self._coefficients + self._mechanism(values)), se

    def _design(self, values: Array) -> Array:
        part = values[:, self._modifiers]
        part = np.where(np.isfinite(part), part, self._median)
        return np.column_stack([np.ones(len(values)), (part - self._center) / self._spread])

    def _mechanism(self, values: Array) -> Array:
        """Effect that the mechanism predicts, shape (n,)."""
        if not self._prior_at:
            return np.zeros(len(values))
        return np.asarray(np.nan_to_num(values[:, self._prior_at[1]] - values[:, self._prior_at[0]]))

    def _fit_dr(self, values: Array, y: Array, arm: NDArray[np.intp], design: Array) -> None:
        from scipy.stats import f
        from sklearn.model_selection import StratifiedKFold

        folds = min(self.folds, int(np.bincount(arm, minlength=2).min()) // 2)
        if folds < 2:
            raise BenefitError(
                f"arms of {int((arm == 0).sum())} and {int((arm == 1).sum())} of n_samples = {len(y)} patients; "
                f"cross-fitting needs 4 or more in each; collect more, or use method='prior'"
            )
        share = float(arm.mean()) if self.propensity is None else self.propensity
        predicted = np.empty((2, len(y)))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=self.random_state)
        for train, test in splitter.split(values, arm):
            for w in (0, 1):
                rows = train[arm[train] == w]
                model = OutcomeRegressor(self.nuisance, random_state=self.random_state)
                predicted[w, test] = model.fit(values[rows], y[rows]).predict(values[test])
        self.pseudo_outcomes_ = doubly_robust(y, arm, share, predicted[1], predicted[0])
        used = np.r_[True, np.isfinite(self._spread)]
        k = int(used.sum())
        self._df = len(y) - k
        if self._df < 1:
            raise BenefitError(
                f"{len(y)} patients and {k - 1} modifiers; name fewer in modifiers=, or use method='prior'"
            )
        d = design[:, used]
        inverse = np.linalg.pinv(d.T @ d)
        beta = inverse @ d.T @ self.pseudo_outcomes_
        leverage = np.clip(np.einsum("ij,jk,ik->i", d, inverse, d), 0.0, 1 - 1e-9)
        residual = (self.pseudo_outcomes_ - d @ beta) / (1 - leverage)
        covariance = inverse @ (d * residual[:, None] ** 2).T @ d @ inverse
        self._keep(beta, covariance, used)
        self.heterogeneity_p_ = float("nan")
        if k > 1:
            slopes, middle = beta[1:], covariance[1:, 1:]
            rank = int(np.linalg.matrix_rank(middle))
            wald = float(slopes @ np.linalg.pinv(middle) @ slopes)
            self.heterogeneity_p_ = float(f.sf(wald / rank, rank, self._df)) if rank else float("nan")

    def _fit_prior(self, values: Array, y: Array, arm: NDArray[np.intp], design: Array) -> None:
        usual = float(y.mean())
        if self._prior_at:
            arms = values[:, self._prior_at]
            expected = np.where(np.isfinite(arms).all(axis=1), arms[np.arange(len(y)), arm], usual)
        else:
            expected = np.full(len(y), usual)
        rest = y - expected
        used = np.r_[True, np.isfinite(self._spread)]
        penalty = np.eye(int(used.sum())) / self.doubt**2
        inverses, betas, squares = [], [], 0.0
        for w in (0, 1):
            d, r = design[arm == w][:, used], rest[arm == w]
            inverse = np.linalg.inv(d.T @ d + penalty)
            beta = inverse @ d.T @ r
            squares += float(r @ r - r @ d @ beta)
            inverses.append(inverse)
            betas.append(beta)
        self._df = len(y)
        variance = squares / len(y)
        shift = float(self._mechanism(values).mean())
        self._keep(betas[1] - betas[0], variance * (inverses[0] + inverses[1]), used, shift)
        self.heterogeneity_p_ = float("nan")

    def _keep(self, beta: Array, covariance: Array, used: NDArray[np.bool_], shift: float = 0.0) -> None:
        n = len(used)
        self._coefficients = np.zeros(n)
        self._coefficients[used] = beta
        self._covariance = np.zeros((n, n))
        self._covariance[np.ix_(used, used)] = covariance
        names = getattr(self, "feature_names_in_", None)
        labels = [str(i) if names is None else str(names[i]) for i in self._modifiers]
        self.average_ = self._estimate("average", 0, 1.0, shift)
        self.interactions_ = tuple(
            self._estimate(name, j, float(self._spread[j - 1])) for j, name in enumerate(labels, start=1)
        )

    def _estimate(self, name: str, j: int, unit: float, shift: float = 0.0) -> Effect:
        from scipy.stats import t

        value = float(self._coefficients[j]) / unit + shift
        se = float(np.sqrt(max(self._covariance[j, j], 0.0))) / unit
        reach = float(t.ppf((1 + self.level) / 2, self._df)) * se
        p = float(2 * t.sf(abs(value) / se, self._df)) if se > 0 else float("nan")
        return Effect(name, value, se, value - reach, value + reach, p)

    def _arm(self, treatment: ArrayLike | None, n: int) -> NDArray[np.intp]:
        if treatment is None:
            raise BenefitError("no treatment given; pass fit(X, y, treatment=...), 0 or 1 for each row, as randomised")
        given = np.asarray(treatment)
        if given.shape != (n,) or not np.isin(given, (0, 1)).all() or len(np.unique(given)) < 2:
            raise BenefitError(
                f"treatment: received shape {given.shape} with values {np.unique(given)[:5].tolist()}; expected 0 and "
                f"1, one for each of n_samples = {n}, both present"
            )
        return given.astype(np.intp)

    def _settings(self) -> None:
        if self.method not in ("dr", "prior"):
            raise BenefitError(f"method={self.method!r}; expected 'dr' or 'prior'")
        if self.prior is not None and self.method == "dr":
            raise BenefitError("prior= is for method='prior'; choose it, or leave the columns among the features")
        if self.prior is not None and (isinstance(self.prior, str) or len(self.prior) != 2):
            raise BenefitError(f"prior={self.prior!r}; expected two columns: predicted under treatment 0 and under 1")
        if self.propensity is not None and not 0 < self.propensity < 1:
            raise BenefitError(f"propensity={self.propensity!r}; expected a probability between 0 and 1")
        if not (self.doubt > 0 and 0 < self.level < 1 and self.folds >= 2):
            raise BenefitError(
                f"doubt={self.doubt!r}, level={self.level!r}, folds={self.folds!r}; expected a positive number, a "
                f"share such as 0.95, and 2 or more"
            )

    def _columns(self, wanted: Sequence[int | str]) -> list[int]:
        names = [str(n) for n in getattr(self, "feature_names_in_", ())]
        found = []
        for name in wanted:
            at = names.index(name) if isinstance(name, str) and name in names else name
            if isinstance(at, str) or not 0 <= at < self.n_features_in_:
                raise BenefitError(
                    f"no column {name!r}; X has {', '.join(names[:10]) or f'{self.n_features_in_} columns, from 0 on'}"
                )
            found.append(int(at))
        return found
