"""The ladder: simple models first, the immune panel on top, all predicted on the same folds.

What a panel is worth is what it adds to what is known without it. Each rung names the columns it may see; the folds are
drawn once; every rung and learner is fitted on the same training rows and predicts the same people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import CrosstalkError, LearnError
from crosstalk.learn.cohort import Cohort
from crosstalk.learn.kept import Kept
from crosstalk.learn.models import LEARNERS, Columns, FeatureStep, StepFactory, predict
from crosstalk.statistics.adequacy import Adequacy, judge_size
from crosstalk.statistics.folds import RepeatedFolds, Split, check_apart
from crosstalk.store import Work

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RUNGS", "Ladder", "Prediction", "Rung", "inner_splits", "lightly", "make_rungs", "run_ladder"]

Array = NDArray[np.float64]
CRP = "hsCRP"
RUNGS: Mapping[str, str] = {
    "prevalence": "prevalence only",
    "week2": "improvement by week 2",
    "clinical": "clinical",
    "crp": "clinical + CRP",
    "panel": "clinical + immune panel",
    "mechanism": "clinical + immune panel + mechanism scores",
    "twin": "twin alone",
    "all": "clinical + immune panel + mechanism scores + twin",
}
INNER = 5  # folds that choose the penalty
BOOSTED = ("clinical", "panel", "all")  # rungs that boosting is run on too


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes
    ----------
    id, name : str
    columns : Columns
    adequacy : Adequacy
    skipped : str
        Why it is not run, empty if it is.
    """

    id: str
    name: str
    columns: Columns
    adequacy: Adequacy | None
    skipped: str = ""

    def predictors(self) -> tuple[str, ...]:
        """Names of what it sees."""
        c = self.columns
        return (*c.numbers, *c.logs, *c.categories, *c.features, *(("features of a fitted step",) if c.step else ()))


@dataclass(frozen=True)
class Prediction:
    """Out-of-fold predictions of a rung by a learner.

    Attributes
    ----------
    values : array, shape (repeats, n)
    """

    rung: str
    learner: str
    values: Array


@dataclass(frozen=True)
class Ladder:
    """Rungs, folds and predictions.

    Attributes
    ----------
    splits : tuple of (train, test)
        The folds of a repeat follow each other.
    predictions : mapping of (rung, learner) to Prediction
    fold_of : array of int, shape (repeats, n)
        Fold that predicted each person.
    table : pandas.DataFrame
        The cohort's table with the features of row-wise steps.
    """

    rungs: tuple[Rung, ...]
    folds: int
    repeats: int
    seed: int
    splits: tuple[Split, ...]
    predictions: Mapping[tuple[str, str], Prediction]
    fold_of: NDArray[np.intp]
    table: pd.DataFrame

    def rung(self, name: str) -> Rung:
        """The rung of an id."""
        return next(r for r in self.rungs if r.id == name)


def make_rungs(
    cohort: Cohort, steps: Mapping[str, StepFactory] | None = None, *, expected_r2: float = 0.15
) -> tuple[tuple[Rung, ...], pd.DataFrame]:
    """The rungs that the cohort and the steps at hand allow, judged for their size before anything is fitted.

    Parameters
    ----------
    cohort : Cohort
    steps : mapping, optional
        ``"mechanism"`` and ``"twin"`` to a function that makes a `FeatureStep`; a rung without its step is skipped.
    expected_r2 : float

    Returns
    -------
    tuple of Rung
    pandas.DataFrame
        The table with the features of row-wise steps added.

    Raises
    ------
    LearnError
        If a step calls itself row-wise and is not.
    """
    table, parts, absent = cohort.table, {}, {}
    for name in ("mechanism", "twin"):
        factory = (steps or {}).get(name)
        if factory is None or not cohort.analytes:
            absent[name] = "its features were not asked for" if cohort.analytes else "no analyte was measured"
            continue
        step = factory()
        try:
            values = _features(step, _named(cohort))
        except CrosstalkError as error:
            absent[name] = f"its features could not be made: {error}"
            continue
        if getattr(step, "row_wise", False):
            found = _row_wise(step, values, cohort, name)
            table = table.join(found)
            parts[name] = Columns(features=tuple(map(str, found.columns)))
        else:
            parts[name] = Columns(step=factory(), step_parameters=values.shape[1])
    clinical = Columns(numbers=cohort.clinical, categories=cohort.categories)
    panel = replace(clinical, logs=cohort.analytes)
    improved = Columns(numbers=("improved by week 2",))
    if cohort.improved is not None:
        table = table.assign(**{improved.numbers[0]: cohort.improved})
    choices: dict[str, tuple[Columns, str]] = {"prevalence": (Columns(), "")}
    choices["week2"] = (improved, "" if cohort.improved is not None else "no score in week 2 (--week2, --baseline)")
    has_clinical = bool(cohort.clinical or cohort.categories)
    choices["clinical"] = (clinical, "" if has_clinical else "no clinical column (age, sex, BMI, scores, --covariates)")
    only_crp = cohort.analytes == (CRP,)
    choices["crp"] = (replace(clinical, logs=(CRP,)), "" if CRP in cohort.analytes else f"{CRP} was not measured")
    why = "no analyte was measured" if not cohort.analytes else f"the panel is {CRP} alone" if only_crp else ""
    choices["panel"] = (panel, why)
    for name, base in (("mechanism", panel), ("twin", Columns())):
        choices[name] = (_join(base, parts[name]), "") if name in parts else (base, absent[name])
    both = all(name in parts for name in ("mechanism", "twin"))
    everything = _join(_join(panel, parts["mechanism"]), parts["twin"]) if both else panel
    choices["all"] = (everything, "" if both else "it needs both the mechanism scores and the twin")
    rungs = []
    for name, (columns, skipped) in choices.items():
        judged = None
        if not skipped:
            judged = judge_size(columns.parameters(table), len(cohort), cohort.events, expected_r2=expected_r2)
            skipped = f"refused: {judged.reason}" if judged.verdict == "refused" else ""
        words = RUNGS[name] if has_clinical else RUNGS[name].removeprefix("clinical + ")
        rungs.append(Rung(name, words, columns, judged, skipped))
    return tuple(rungs), table


def _join(base: Columns, part: Columns) -> Columns:
    if base.step is not None and part.step is not None:
        raise LearnError("two fitted steps in one rung; make one of them row-wise or join them")
    return replace(
        base, features=(*base.features, *part.features), step=part.step or base.step,
        step_parameters=base.step_parameters + part.step_parameters,
    )  # fmt: skip


def _named(cohort: Cohort) -> pd.DataFrame:
    return cohort.table.set_axis(list(cohort.patients), axis=0)


def _features(step: FeatureStep, table: pd.DataFrame) -> Array:
    return np.asarray(step.fit(table, None).transform(table), dtype=float)


def _row_wise(step: FeatureStep, values: Array, cohort: Cohort, name: str) -> pd.DataFrame:
    """Features of a row-wise step, after a check that a patient's do not depend on who else is there."""
    import pandas as pd
    from sklearn.base import clone

    table = _named(cohort)
    if values.shape[:1] != (len(table),):
        raise LearnError(f"step '{name}' gave {values.shape} for {len(table)} patients; expected a row per patient")
    few = table.iloc[: min(4, len(table))]
    again = _features(clone(step), few)
    if not np.allclose(again, values[: len(few)], equal_nan=True, rtol=1e-6, atol=1e-9):
        raise LearnError(
            f"step '{name}' says that it is row-wise, but its features of a patient change with the other patients; it "
            "would carry knowledge across folds"
        )
    names = [f"{name}: {label}" for label in step.get_feature_names_out()]
    return pd.DataFrame(values, columns=names, index=cohort.table.index)


def inner_splits(y: Array, groups: Sequence[str] | None, seed: int) -> list[Split]:
    """Folds within a training set, families together; fewer where the rarer class is rare."""
    family = None if groups is None else np.asarray(groups)
    two = len(np.unique(y)) == 2
    rarer = int(np.bincount(y.astype(int)).min()) if two else len(y)
    for folds in range(min(INNER, rarer), 1, -1):
        try:
            return list(RepeatedFolds(folds, 1, seed).split(np.zeros((len(y), 1)), y, family))
        except LearnError:
            continue
    raise LearnError(f"{len(y)} training rows with {rarer} of the rarer outcome cannot be split to choose a penalty")


def fit_rung(rung: Rung, learner: str, cohort: Cohort, table: pd.DataFrame, rows: NDArray[np.intp], seed: int) -> Any:
    """Fit one rung on some rows; nothing outside of them is seen."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    y = cohort.y[rows]
    if rung.id == "prevalence":
        dummy: Any = DummyClassifier(strategy="prior") if cohort.kind == "event" else DummyRegressor()
        return dummy.fit(np.zeros((len(rows), 1)), y)
    groups = None if cohort.group is None else [cohort.group[i] for i in rows]
    build = LEARNERS["boosting" if learner == "boosting" else "penalised"]
    estimator = build(cohort.kind, rung.columns, inner_splits(y, groups, seed), seed)
    return estimator.fit(table.iloc[rows], y)


def learners_of(rung: str, boosting: bool) -> tuple[str, ...]:
    """Learners that a rung is run with."""
    if rung == "prevalence":
        return ("mean",)
    return ("penalised", "boosting") if boosting and rung in BOOSTED else ("penalised",)


def run_ladder(
    cohort: Cohort,
    *,
    steps: Mapping[str, StepFactory] | None = None,
    folds: int = 5,
    repeats: int = 10,
    seed: int = 1,
    boosting: bool = True,
    expected_r2: float = 0.15,
    progress: Callable[[str, float], None] | None = None,
    work: Path | Work | None = None,
) -> Ladder:
    """Predict every patient by every rung, in each repeat by models that have not seen the patient or the family.

    Parameters
    ----------
    cohort : Cohort
        With an outcome.
    steps : mapping, optional
        See `make_rungs`.
    folds, repeats, seed : int
    boosting : bool
        Whether to run gradient boosting beside penalised regression.
    progress : callable, optional
        Takes words and the share done.
    work : Path or Work, optional
        Folder for what is done so far; a run that was stopped goes on from there, to the same result.

    Returns
    -------
    Ladder

    Raises
    ------
    LearnError
        If the cohort cannot be split as asked, or no rung but the prevalence can be carried; with the reasons.
    """
    rungs, table = make_rungs(cohort, steps, expected_r2=expected_r2)
    if rungs[0].skipped:
        raise LearnError(f"{cohort.path}: {rungs[0].skipped.removeprefix('refused: ')}")
    if not any(not r.skipped for r in rungs[1:]):
        raise LearnError(
            f"{cohort.path}: no model can be carried:\n  " + "\n  ".join(f"{r.name}: {r.skipped}" for r in rungs[1:])
        )
    family = None if cohort.group is None else np.asarray(cohort.group)
    splits = tuple(RepeatedFolds(folds, repeats, seed).split(table, cohort.y, family))
    if cohort.group is not None:
        check_apart(splits, cohort.group)
    fold_of = np.zeros((repeats, len(cohort)), dtype=np.intp)
    for k, (_, test) in enumerate(splits):
        fold_of[k // folds, test] = k % folds
    jobs = [(r, learner) for r in rungs if not r.skipped for learner in learners_of(r.id, boosting)]
    columns = [(r.id, r.name, replace(r.columns, step=None)) for r in rungs]
    kept = Kept(work, table, cohort.y, (cohort.kind, folds, repeats, seed, cohort.group, columns))
    found = {}
    for j, (rung, learner) in enumerate(jobs):
        # what a fitted step of others does cannot be seen, and so is not known to be the same
        hidden = rung.columns.step is not None
        earlier = None if hidden else kept.load(rung.id, learner)
        if earlier is not None:
            found[rung.id, learner] = Prediction(rung.id, learner, earlier)
            continue
        values = np.empty((repeats, len(cohort)))
        for k, (test, predicted) in enumerate(_out_of_fold(rung, learner, cohort, table, splits, seed)):
            values[k // folds, test] = predicted
            if progress is not None:
                progress(f"{rung.name} ({learner})", (j + (k + 1) / len(splits)) / len(jobs))
        if not hidden:
            kept.save(rung.id, learner, values)
        found[rung.id, learner] = Prediction(rung.id, learner, values)
    return Ladder(rungs, folds, repeats, seed, splits, found, fold_of, table)


@contextmanager
def lightly() -> Iterator[None]:
    """Small fits: threads, and checks of settings that are our own, cost more than they give, and change no result."""
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), config_context(skip_parameter_validation=True):
        yield


def _out_of_fold(
    rung: Rung, learner: str, cohort: Cohort, table: pd.DataFrame, splits: Sequence[Split], seed: int
) -> Iterator[tuple[NDArray[np.intp], Array]]:
    with lightly():
        for train, test in splits:
            fitted = fit_rung(rung, learner, cohort, table, train, seed)
            yield test, predict(cohort.kind, fitted, table.iloc[test])


def predict_sites(
    ladder: Ladder, cohort: Cohort, splits: Sequence[tuple[str, Split]], rung: Rung, learner: str
) -> Array:
    """Each site predicted by a model of the others, shape (n,)."""
    values = np.full(len(cohort), np.nan)
    for test, predicted in _out_of_fold(rung, learner, cohort, ladder.table, [s for _, s in splits], ladder.seed):
        values[test] = predicted
    return values
