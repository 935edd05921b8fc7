"""`learn`: a cohort in, an honest judgement out: refuse, predict out of fold, judge, compare, conclude."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError, UsageError
from crosstalk.learn.cohort import Cohort
from crosstalk.learn.evaluation import check_sites, compare, conclude, results
from crosstalk.learn.ladder import Ladder, Rung, lightly, run_ladder
from crosstalk.learn.models import StepFactory
from crosstalk.learn.records import Learnt
from crosstalk.learn.resampling import learning_curve, optimism, selection
from crosstalk.learn.suspects import suspects
from crosstalk.learn.two_models import two_models
from crosstalk.provenance import package_version, versions
from crosstalk.statistics.folds import RepeatedFolds
from crosstalk.statistics.heterogeneity import Heterogeneity, judge_benefit
from crosstalk.store import Work

__all__ = ["learn", "learn_with_ladder", "mechanism_steps", "who_benefits"]

Progress = Callable[[str, float], None]
PLAIN = ("panel", "crp", "clinical")  # rungs to look at closely, the fullest first


def learn(cohort: Cohort, **settings: Any) -> Learnt:
    """Judge what can be predicted in a cohort; see `learn_with_ladder` for the settings.

    Returns
    -------
    Learnt
    """
    return learn_with_ladder(cohort, **settings)[0]


def learn_with_ladder(
    cohort: Cohort,
    *,
    steps: Mapping[str, StepFactory] | None = None,
    folds: int = 5,
    repeats: int = 10,
    seed: int = 1,
    boosting: bool = True,
    bootstrap: int = 100,
    expected_r2: float = 0.15,
    higher_is_better: bool | None = None,
    command: str = "",
    progress: Progress | None = None,
    work: Path | Work | None = None,
) -> tuple[Learnt, Ladder]:
    """Judge a cohort, and keep the folds and predictions.

    Parameters
    ----------
    cohort : Cohort
        With an outcome.
    steps : mapping, optional
        ``"mechanism"`` and ``"twin"`` to functions that make a `crosstalk.learn.models.FeatureStep`.
    folds, repeats, seed : int
    boosting : bool
        Run gradient boosting beside penalised regression.
    bootstrap : int
        Resamples for optimism and stability; 0 for none.
    expected_r2 : float
        Share of the largest R2 that is expected, for the size needed.
    higher_is_better : bool, optional
        Direction of the outcome for the benefit of a treatment; by default an event is good, a high score bad.
    command : str
        How to run it again.
    progress : callable, optional
    work : Path or Work, optional
        Folder for what is done so far, see `crosstalk.learn.ladder.run_ladder`.

    Raises
    ------
    LearnError
        If the cohort cannot carry any model, with the reasons.
    """
    if not len(cohort.y):
        raise UsageError(f"{cohort.path}: no outcome was named; there is nothing to learn")
    check_sites(cohort)
    with lightly():
        return _judge(
            cohort, steps, folds, repeats, seed, boosting, bootstrap, expected_r2, higher_is_better, command, progress,
            work,
        )  # fmt: skip


def _judge(
    cohort: Cohort,
    steps: Mapping[str, StepFactory] | None,
    folds: int,
    repeats: int,
    seed: int,
    boosting: bool,
    bootstrap: int,
    expected_r2: float,
    higher_is_better: bool | None,
    command: str,
    progress: Progress | None,
    work: Path | Work | None,
) -> tuple[Learnt, Ladder]:
    ladder = run_ladder(
        cohort, steps=steps, folds=folds, repeats=repeats, seed=seed, boosting=boosting, expected_r2=expected_r2,
        progress=progress, work=work,
    )  # fmt: skip
    models = results(cohort, ladder, progress)
    differences = compare(cohort, ladder)
    rung = _fullest(ladder)
    benefit: Heterogeneity | None = None
    extra: tuple[str, ...] = ()
    if cohort.treatment is not None:
        try:
            benefit = who_benefits(cohort, ladder, rung, higher_is_better)
        except LearnError as error:
            extra = (f"Who benefits cannot be told: {error}.",)
    names = {r.id: r.name for r in ladder.rungs}
    conclusions = (*(f"{words}." for words in suspects(cohort)), *conclude(cohort, models, differences, names))
    if benefit is not None:
        extra = (benefit.conclusion,)
    table = cohort.table
    found = Learnt(
        len(cohort), cohort.events, cohort.outcome, cohort.kind, cohort.positive, (*conclusions[:-1], *extra,
        conclusions[-1]), models, differences, learning_curve(cohort, ladder, rung),
        selection(cohort, ladder, rung, bootstrap, progress) if bootstrap else (),
        optimism(cohort, ladder, rung, bootstrap, progress) if bootstrap else (), benefit, rung.name, folds, repeats,
        seed, bootstrap, float(cohort.y.mean()),
        {s: cohort.site.count(s) for s in sorted({*cohort.site})} if cohort.site else {},
        len({*cohort.group}) if cohort.group else None,
        {str(c): float(table[c].isna().mean()) for c in table if table[c].isna().any()}, cohort.warnings, command,
        cohort.path, cohort.sha256, learn_versions(),
    )  # fmt: skip
    return found, ladder


def mechanism_steps() -> dict[str, StepFactory]:
    """The steps that know the mechanism, as the ladder takes them: scores of the twin, and its forecast."""
    from crosstalk.learn.mechanism import MechanismScores, TwinForecast

    return {
        "mechanism": partial(MechanismScores, layout="cohort", others="ignore"),
        "twin": partial(TwinForecast, layout="cohort", others="ignore"),
    }


def learn_versions() -> dict[str, str]:
    """Versions of the software that can change a result here."""
    import sklearn

    return {"crosstalk": package_version(), **versions(), "scikit-learn": str(sklearn.__version__)}


def _fullest(ladder: Ladder) -> Rung:
    return next(
        r
        for name in (*PLAIN, *(r.id for r in ladder.rungs[::-1]))
        for r in ladder.rungs
        if r.id == name and not r.skipped
    )


def who_benefits(cohort: Cohort, ladder: Ladder, rung: Rung, higher_is_better: bool | None = None) -> Heterogeneity:
    """Judge the default benefit model of a trial (a regression in each arm) on the columns of a rung.

    Raises
    ------
    LearnError
        If an arm is too small.
    """
    from dataclasses import replace

    assert cohort.treatment is not None
    up = cohort.kind == "event" if higher_is_better is None else higher_is_better
    columns = replace(rung.columns, numbers=tuple(c for c in rung.columns.numbers if c != cohort.treated[0]))
    sign = 1.0 if up else -1.0
    fitted = two_models(cohort.kind, columns, ladder.table, cohort.y, cohort.treatment, ladder.seed)

    def fit(train: NDArray[np.intp], rest: NDArray[np.intp]) -> tuple[Any, Any, Any]:
        benefit, high, low = fitted(train, rest)
        return sign * benefit, sign * high, sign * low

    family = None if cohort.group is None else np.asarray(cohort.group)
    # stratified by the arm, so that every part holds both
    parts = [
        test for _, test in RepeatedFolds(ladder.folds, 1, ladder.seed).split(ladder.table, cohort.treatment, family)
    ]
    numbers = {c: cohort.table[c].to_numpy(dtype=float) for c in (*columns.numbers, *cohort.analytes)}
    for c in cohort.analytes:
        positive = numbers[c][numbers[c] > 0]
        numbers[c] = np.log(np.maximum(numbers[c], positive.min() / 2 if len(positive) else 1.0))
    unit = "of probability" if cohort.kind == "event" else "points"
    return judge_benefit(sign * cohort.y, cohort.treatment, fit, parts, numbers, unit=unit, seed=ladder.seed)
