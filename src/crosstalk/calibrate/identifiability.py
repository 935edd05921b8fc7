"""What the data cannot tell: contraction of each unknown, pairs that hide each other, profile likelihoods.

Profiles come from a linear emulator of the counterparts, with a square in the unknown that is profiled, fitted to all
members of prior and posterior; what it leaves unexplained counts as error, and its fit is reported with it. The other
unknowns keep their priors, without which most profiles would be flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from crosstalk.calibrate.calibration import Calibration
from crosstalk.population.worlds import worlds_at
from crosstalk.study.records import Result

__all__ = ["Confounding", "Contraction", "Profile", "confounded", "contractions", "load_bearing", "profiles"]

Array = NDArray[np.float64]
Level = Literal["identified", "weakly", "not"]

IDENTIFIED, WEAKLY = 0.75, 0.2  # shares of the prior variance that the data removed
STRONG = 0.4  # correlation in the posterior that is worth a word
GRID = np.linspace(-3.0, 3.0, 25)
RIDGES = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # penalties of the emulator; each target takes what predicts it best
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Contraction:
    """How far the data narrowed one unknown.

    Prior and posterior are given as 5 %, 50 % and 95 % points in the unknown's own unit. ``contraction`` is the share
    of the prior's variance (of the normal score) that is gone, ``shift`` the distance of the medians in standard
    deviations of the prior.
    """

    unknown: str
    module: str
    prior: tuple[float, float, float]
    posterior: tuple[float, float, float]
    contraction: float
    shift: float
    verdict: Level


@dataclass(frozen=True, slots=True)
class Confounding:
    """Two unknowns that the data leave correlated: only a combination of them is known."""

    first: str
    second: str
    correlation: float


@dataclass(frozen=True)
class Profile:
    """Profile likelihood of one unknown.

    Attributes
    ----------
    values : array, shape (n_grid,)
        In the unknown's own unit.
    distance : array, shape (n_grid,)
        Twice the loss of log-likelihood (of targets and of the priors of the other unknowns) against the best.
    low, high : float or None
        Ends of the 90 % interval; None where the profile stays below its limit to the end of the grid.
    r2 : float
        Share of the variance of the counterparts that the emulator explains, in members that it has not seen.
    """

    unknown: str
    values: Array
    distance: Array
    low: float | None
    high: float | None
    r2: float

    @property
    def verdict(self) -> Level:
        """Bounded on both sides, on one, or on none."""
        levels: tuple[Level, ...] = ("not", "weakly", "identified")
        return levels[(self.low is not None) + (self.high is not None)]


def contractions(calibration: Calibration) -> tuple[Contraction, ...]:
    """Prior against posterior of every unknown, the most narrowed first."""
    prior, posterior = calibration.prior_worlds.values, calibration.worlds.values
    found = []
    for j, unknown in enumerate(calibration.unknowns):
        before, after = calibration.prior[:, j], calibration.scores[:, j]
        gone = float(1 - after.var() / before.var())
        found.append(
            Contraction(
                unknown.id,
                unknown.module,
                _three(prior[unknown.id]),
                _three(posterior[unknown.id]),
                gone,
                float(np.median(after) - np.median(before)),
                "identified" if gone >= IDENTIFIED else "weakly" if gone >= WEAKLY else "not",
            )
        )
    return tuple(sorted(found, key=lambda c: -c.contraction))


def confounded(calibration: Calibration, threshold: float = STRONG) -> tuple[Confounding, ...]:
    """Pairs of unknowns whose correlation in the posterior is at least ``threshold``, the strongest first."""
    matrix = np.asarray(np.corrcoef(calibration.scores, rowvar=False))
    names = [u.id for u in calibration.unknowns]
    rows, columns = np.triu_indices(len(names), 1)
    strong = np.flatnonzero(np.abs(matrix[rows, columns]) >= threshold)
    pairs = [Confounding(names[rows[k]], names[columns[k]], float(matrix[rows[k], columns[k]])) for k in strong]
    return tuple(sorted(pairs, key=lambda p: -abs(p.correlation)))


def load_bearing(calibration: Calibration, n: int = 10) -> tuple[str, ...]:
    """The unknowns that simulated effects of drugs on symptoms depend on most, by mean squared correlation.

    Of all counterparts where no target compares arms.
    """
    items = calibration.targets.items
    chosen = [k for k, t in enumerate(items) if _drug_effect(t.result, t.stage)] or list(range(len(items)))
    effects: Array = np.concatenate([calibration.before, calibration.after])[:, chosen]
    scores: Array = np.concatenate([calibration.prior, calibration.scores])
    effects = effects[:, np.isfinite(effects).mean(axis=0) > 0.9]
    filled: Array = np.where(np.isfinite(effects), effects, np.nanmean(effects, axis=0))
    z = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    y = (filled - filled.mean(axis=0)) / np.maximum(filled.std(axis=0), 1e-12)
    load: Array = ((z.T @ y / len(z)) ** 2).mean(axis=1)
    return tuple(calibration.unknowns[j].id for j in np.argsort(-load)[:n])


def profiles(calibration: Calibration, names: Sequence[str]) -> tuple[Profile, ...]:
    """Profile likelihoods of some unknowns, see the module's notes."""
    c = calibration
    scores = np.concatenate([c.prior, c.scores])
    counterparts = np.concatenate([c.before, c.after])
    usable = np.isfinite(counterparts).mean(axis=0) > 0.5
    y = counterparts[:, usable]
    y = np.where(np.isfinite(y), y, np.nanmean(y, axis=0))
    errors = c.targets.covariance[np.ix_(usable, usable)]
    values = c.targets.values[usable]
    place = {u.id: j for j, u in enumerate(c.unknowns)}
    return tuple(_profile(c, place[name], scores, y, values, errors) for name in names)


def _profile(c: Calibration, j: int, scores: Array, y: Array, values: Array, errors: Array) -> Profile:
    fit, unexplained, r2 = _emulator(scores, y, j)
    others = np.delete(np.arange(scores.shape[1]), j)
    slopes = fit[1:-1][others]  # (n_others, n_targets)
    # with standard normal others the targets are normal around their mean at the grid point
    spread = errors + np.diag(unexplained) + slopes.T @ slopes
    means = fit[0] + np.outer(GRID, fit[1 + j]) + np.outer(GRID**2, fit[-1])
    residual = values - means
    distance: Array = (residual * np.linalg.solve(spread, residual.T).T).sum(axis=1)
    distance -= distance.min()
    limit = float(chi2.ppf(0.9, 1))
    inside = np.flatnonzero(distance <= limit)
    unknown = c.unknowns[j]
    grid = _natural(c, j)
    low = None if inside[0] == 0 else _cross(grid, distance, inside[0] - 1, limit)
    high = None if inside[-1] == len(GRID) - 1 else _cross(grid, distance, inside[-1], limit)
    return Profile(unknown.id, grid, distance, low, high, r2)


def _emulator(scores: Array, y: Array, j: int) -> tuple[Array, Array, float]:
    """Ridge regression on all scores and the square of one.

    Returns
    -------
    coefficients : array, shape (n_unknowns + 2, n_targets)
    unexplained : array, shape (n_targets,)
        Variance of members that the fit has not seen.
    r2 : float
        Median over targets of the share that it explains in them.
    """
    design = np.column_stack([np.ones(len(scores)), scores, scores[:, j] ** 2])
    everyone = np.arange(len(y))

    def solve(rows: NDArray[np.intp], penalty: float) -> Array:
        x = design[rows]
        ridge = penalty * np.eye(x.shape[1])
        ridge[0, 0] = 0.0
        return np.asarray(np.linalg.solve(x.T @ x + ridge, x.T @ y[rows]))

    missed = np.zeros((len(RIDGES), y.shape[1]))
    for fold in range(FOLDS):
        held = everyone[fold::FOLDS]
        seen = np.setdiff1d(everyone, held)
        for k, penalty in enumerate(RIDGES):
            missed[k] += ((y[held] - design[held] @ solve(seen, penalty)) ** 2).sum(axis=0) / len(y)
    best = missed.argmin(axis=0)
    fits = np.stack([solve(everyone, penalty) for penalty in RIDGES])
    unexplained = missed.min(axis=0)
    spread = y.var(axis=0)
    known = spread > 1e-18
    r2 = float(np.median(1 - unexplained[known] / spread[known]))
    return fits[best, :, np.arange(y.shape[1])].T, unexplained, r2


def _natural(c: Calibration, j: int) -> Array:
    unknown = c.unknowns[j]
    return worlds_at((unknown,), GRID[:, None], "profile").values[unknown.id]


def _cross(grid: Array, distance: Array, k: int, limit: float) -> float:
    """Where the profile crosses its limit between two points of the grid."""
    share = (limit - distance[k]) / (distance[k + 1] - distance[k])
    return float(grid[k] + share * (grid[k + 1] - grid[k]))


def _drug_effect(result: Result, stage: str) -> bool:
    return bool(result.versus) and stage == "symptoms"


def _three(values: Array) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)
