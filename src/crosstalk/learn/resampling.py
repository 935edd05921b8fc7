"""What resampling tells of a model: how it grows with people, how stable it is, how much it flatters itself.

References
----------
Optimism: Harrell, Lee and Mark 1996, doi 10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4. Stability of
selection: Heinze, Wallisch and Dunkler 2018, doi 10.1002/bimj.201700067; of models: Riley and Collins 2023, doi
10.1002/bimj.202200302.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError
from crosstalk.learn.cohort import Cohort
from crosstalk.learn.evaluation import losses
from crosstalk.learn.ladder import Ladder, Rung, fit_rung
from crosstalk.learn.models import lasso, predict
from crosstalk.learn.records import LearningPoint, Optimism, Selected
from crosstalk.statistics.calibration_curve import calibration
from crosstalk.statistics.metrics import discrimination_scores
from crosstalk.statistics.resampling import bootstrap

__all__ = ["learning_curve", "optimism", "selection"]

Array = NDArray[np.float64]
SHARES = (0.4, 0.6, 0.8, 1.0)
LEAST_CLASS = 5  # people of the rarer outcome in a bootstrap sample (assumed)
Progress = Callable[[str, float], None]


def learning_curve(cohort: Cohort, ladder: Ladder, rung: Rung) -> tuple[LearningPoint, ...]:
    """Error of the folds of the first repeat, when the model is trained on parts of the training rows."""
    rng = np.random.default_rng(ladder.seed)
    rows = []
    orders = [_shuffled(cohort, train, rng) for train, _ in ladder.splits[: ladder.folds]]
    for share in SHARES:
        errors, areas, sizes = [], [], []
        for (_, test), order in zip(ladder.splits[: ladder.folds], orders, strict=True):
            part = order[: round(share * len(order))]
            try:
                fitted = fit_rung(rung, "penalised", cohort, ladder.table, part, ladder.seed)
            except (LearnError, ValueError):
                break  # too few of the rarer outcome to choose a penalty
            found = predict(cohort.kind, fitted, ladder.table.iloc[test])
            whole = np.zeros(len(cohort))
            whole[test] = found
            errors.append(float(losses(cohort, whole)[test].mean()))
            sizes.append(len(part))
            if cohort.kind == "event":
                areas.append(discrimination_scores(cohort.y[test], found)[0])
        if len(errors) == ladder.folds:
            area = float(np.mean(areas)) if areas else None
            rows.append(LearningPoint(round(float(np.mean(sizes))), float(np.mean(errors)), area))
    return tuple(rows)


def _shuffled(cohort: Cohort, rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows in random order, families together."""
    if cohort.group is None:
        return rng.permutation(rows)
    family = np.asarray(cohort.group)[rows]
    names = rng.permutation(np.unique(family))
    return np.concatenate([rows[family == name] for name in names])


def resamples(cohort: Cohort, count: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Rows of bootstrap samples of families, or of people; those with one class or too few of one are drawn again."""

    def enough(rows: NDArray[np.intp]) -> bool:
        return cohort.kind != "event" or bool(np.bincount(cohort.y[rows].astype(int), minlength=2).min() >= LEAST_CLASS)

    made = 0
    for rows in islice(filter(enough, islice(bootstrap(len(cohort), cohort.group, seed=seed), 50 * count)), count):
        made += 1
        yield rows
    if made < count:
        raise LearnError("bootstrap samples hold too few of the rarer outcome")


def selection(
    cohort: Cohort, ladder: Ladder, rung: Rung, count: int, progress: Progress | None = None
) -> tuple[Selected, ...]:
    """How often an L1 penalty of usual strength would select each predictor in bootstrap samples.

    The strength keeps a predictor that explains more than noise of ``sqrt(2 log p / n)`` (the universal threshold).
    """
    p = max(rung.columns.parameters(ladder.table), 2)
    n = len(cohort)
    noise = float(np.sqrt(2 * np.log(p) / n)) * float(np.std(cohort.y))
    strength = 1 / (n * noise) if cohort.kind == "event" else noise
    signs: dict[str, list[float]] = {}
    for k, rows in enumerate(resamples(cohort, count, ladder.seed)):
        model = lasso(cohort.kind, rung.columns, strength).fit(ladder.table.iloc[rows], cohort.y[rows])
        found = np.ravel(model[-1].coef_)
        for name, value in zip(model[0].get_feature_names_out(), found, strict=True):
            signs.setdefault(str(name), [0.0] * k).append(float(np.sign(np.round(value, 10))))
        for history in signs.values():
            history.extend([0.0] * (k + 1 - len(history)))  # a level that this sample lacks
        if progress is not None:
            progress("stability of predictors", (k + 1) / count)
    rows_ = []
    for name, history in signs.items():
        s = np.asarray(history)
        chosen = s != 0
        same = max((s > 0).sum(), (s < 0).sum()) / chosen.sum() if chosen.any() else 0.0
        rows_.append(Selected(name, float(chosen.mean()), float(same)))
    return tuple(sorted(rows_, key=lambda r: -r.selected))


def optimism(
    cohort: Cohort, ladder: Ladder, rung: Rung, count: int, progress: Progress | None = None
) -> tuple[Optimism, ...]:
    """Bootstrap correction of the whole recipe: preparation and choice of the penalty are repeated in each sample.

    Copies of a person in a sample are kept in the same inner fold.
    """
    everyone = np.arange(len(cohort))
    whole = fit_rung(rung, "penalised", cohort, ladder.table, everyone, ladder.seed)
    apparent = _measures(cohort, predict(cohort.kind, whole, ladder.table), everyone)
    falls = []
    for k, rows in enumerate(resamples(cohort, count, ladder.seed)):
        # copies of a person are a family, so that none is trained on and judged when the penalty is chosen
        names = cohort.group if cohort.group is not None else cohort.patients
        again = _with_groups(cohort, names)
        model = fit_rung(rung, "penalised", again, ladder.table, rows, ladder.seed)
        own = _measures(cohort, predict(cohort.kind, model, ladder.table.iloc[rows]), rows)
        rest = _measures(cohort, predict(cohort.kind, model, ladder.table), everyone)
        falls.append({name: own[name] - rest[name] for name in own})
        if progress is not None:
            progress("optimism", (k + 1) / count)
    return tuple(
        Optimism(name, value, mean, value - mean, count)
        for name, value in apparent.items()
        for mean in (float(np.nanmean([f[name] for f in falls])),)
    )


def _with_groups(cohort: Cohort, names: tuple[str, ...]) -> Cohort:
    from dataclasses import replace

    return replace(cohort, group=names)


def _measures(cohort: Cohort, values: Array, rows: NDArray[np.intp]) -> dict[str, float]:
    y = cohort.y[rows]
    if cohort.kind == "score":
        return {"R2": float(1 - np.mean((y - values) ** 2) / np.var(y))}
    found: Any = calibration(y, values)
    return {
        "AUC": discrimination_scores(y, values)[0],
        "Brier score": float(np.mean((values - y) ** 2)),
        "calibration slope": found.slope.value,
    }
