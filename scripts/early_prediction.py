"""Who responds, from the baseline and the first two weeks: the sequential twin against simpler predictions, on trials.

The data themselves are not part of the project. The folder holds the public files that ``individual_summaries.py``
names, and ``BtheB.csv`` (doi 10.1017/S0033291702007225): a trial of a program on the computer, scored by the patients
themselves (BDI), which is no scale of the model; there the twin has no say, and the first look is at two months.

Run it as ``python scripts/early_prediction.py FOLDER``: it prints the table; ``--write`` puts it into ``docs/results``.

Predicted are the last score and response (half of the baseline or less) of patients seen early and at the end. Every
model that learns does so in training folds (five, ten times; predictions of a patient are averaged over the repeats).
The twin learns from none of the patients; but the means of the first two trials are among what the model was calibrated
on, so that its mean is not a blind prediction there, while what it makes of a single patient's early scores is.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import individual_summaries as individual
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Regimen, Scale
from crosstalk.learn.outcome import OutcomeClassifier, OutcomeRegressor
from crosstalk.population.cache import virtual_population
from crosstalk.population.calibrated import knowledge_state
from crosstalk.provenance import atomic_write
from crosstalk.statistics.folds import RepeatedFolds
from crosstalk.statistics.metrics import Measure, auc, brier, mean_estimate, r_squared
from crosstalk.study.schema import read_study
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.library import course_library
from crosstalk.twin.posterior import twin_outputs
from crosstalk.twin.sequential import Scores, last_score
from crosstalk.twin.twin import how_many_worlds

RESULT = Path(__file__).resolve().parent.parent / "docs" / "results" / "early_prediction.txt"
VIRTUAL, SEED = 20_000, 1
FOLDS, REPEATS = 5, 10
IMPROVED = 0.2  # by the first look: Szegedi et al. 2009, doi 10.4088/JCP.07m03780
LEVEL = 0.9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """Scores by patient and time (NaN where not seen), arms as codes, and what the twin needs to know of them."""

    name: str
    scores: pd.DataFrame
    arm: NDArray[np.intp]
    early: tuple[int, ...]  # the last of them decides the rule
    study: str = ""
    arms: tuple[str, ...] = ("",)

    @property
    def last(self) -> int:
        """Time of the last score."""
        return int(self.scores.columns[-1])

    def used(self) -> Trial:
        """Those seen at baseline, at the last early look and at the end."""
        keep = self.scores[[0, self.early[-1], self.last]].notna().all(axis=1).to_numpy()
        return Trial(self.name, self.scores[keep], self.arm[keep], self.early, self.study, self.arms)

    def response(self) -> Array:
        """Whose last score is half of the baseline or less."""
        return (self.scores[self.last] <= self.scores[0] / 2).to_numpy(dtype=float)


@dataclass(frozen=True)
class Prediction:
    """Last score and its SD (NaN where the model gives none), and probability of response, by patient."""

    mean: Array
    sd: Array
    response: Array


def trials(folder: Path) -> list[Trial]:
    """Return the three trials."""
    scores, people = individual.goldstein_scores(folder)
    drug = (people["THERAPY"] == "DRUG").to_numpy(dtype=np.intp)
    name = "antidepressant or placebo, HAMD-17 at weeks 1, 2, 4, 6 (rbmi)"
    first = Trial(name, scores, drug, (1, 2), "goldstein2004", ("placebo", "drug"))
    scores, _ = individual.reisby_scores(folder)
    name = "imipramine after a week on placebo, HAMD-17 at weeks 1 to 5 (Reisby)"
    second = Trial(name, scores, np.zeros(len(scores), dtype=np.intp), (1, 2), "reisby1977", ("imipramine",))
    data = pd.read_csv(folder / "BtheB.csv")
    scores = data[["bdi.pre", "bdi.2m", "bdi.3m", "bdi.5m", "bdi.8m"]].astype(float)
    scores.columns = [0, 2, 3, 5, 8]
    treated = (data["treatment"] == "BtheB").to_numpy(dtype=np.intp)
    third = Trial("Beat the Blues or usual care, BDI at months 2, 3, 5, 8", scores, treated, (2,))
    return [first, second, third]


# Models that learn: training rows, then predictions for the others


def features(trial: Trial, early: bool) -> Array:
    """Return baseline and arm, and the early scores."""
    columns = [0, *(trial.early if early else ())]
    return np.column_stack([trial.scores[columns].to_numpy(), trial.arm])


def regression(method: str, early: bool) -> Callable[[Trial, Array, Array], Prediction]:
    def fit(trial: Trial, train: Array, test: Array) -> Prediction:
        x, y, event = features(trial, early), trial.scores[trial.last].to_numpy(), trial.response()
        score = OutcomeRegressor(method).fit(x[train], y[train]).predict(x[test])
        chance = OutcomeClassifier(method).fit(x[train], event[train]).predict_proba(x[test])[:, 1]
        return Prediction(score, np.full(len(test), np.nan), chance)

    return fit


def improved_early(trial: Trial) -> NDArray[np.bool_]:
    """Return who had improved by a fifth at the last early look."""
    return (trial.scores[trial.early[-1]] <= (1 - IMPROVED) * trial.scores[0]).to_numpy()


def rule(trial: Trial, train: Array, test: Array) -> Prediction:
    """Predict what those did in training who had, or had not, improved early."""
    improved = improved_early(trial)
    y, event = (trial.scores[trial.last] - trial.scores[0]).to_numpy(), trial.response()
    score, chance = np.empty(len(test)), np.empty(len(test))
    for group in (False, True):
        own, other = train[improved[train] == group], improved[test] == group
        score[other] = y[own].mean() + trial.scores[0].to_numpy()[test][other]
        chance[other] = (event[own].sum() + 0.5) / (len(own) + 1)
    return Prediction(score, np.full(len(test), np.nan), chance)


def mixed_model(trial: Trial, train: Array, test: Array) -> Prediction:
    """Predict by the best linear unbiased predictor of a random intercept and slope, fixed visits and arm by time."""
    times = trial.scores.columns.to_numpy(dtype=float)
    everything = trial.scores.to_numpy()
    design = np.zeros((len(everything), len(times), len(times) + 2))
    design[:, :, : len(times)] = np.eye(len(times))
    design[:, :, -2] = trial.arm[:, None]
    design[:, :, -1] = trial.arm[:, None] * times
    if not trial.arm.any() or trial.arm.all():
        design = design[:, :, :-2]
    z = np.column_stack([np.ones(len(times)), times / times[-1]])
    spread = np.nanstd(everything[train])

    def covariance(theta: Array) -> Array:
        lower = np.array([[np.exp(theta[0]), 0.0], [theta[1], np.exp(theta[2])]])
        return spread**2 * (z @ lower @ lower.T @ z.T + np.exp(2 * theta[3]) * np.eye(len(times)))

    seen = ~np.isnan(everything)

    def solve(theta: Array) -> tuple[float, Array]:
        whole = covariance(theta)
        left, right, rest = 0.0, 0.0, 0.0
        parts = []
        for i in train:
            o = seen[i]
            inverse = np.linalg.inv(whole[np.ix_(o, o)])
            x, y = design[i][o], everything[i][o]
            left, right = left + x.T @ inverse @ x, right + x.T @ inverse @ y
            parts.append((x, y, inverse))
            rest += np.linalg.slogdet(whole[np.ix_(o, o)])[1]
        beta = np.linalg.lstsq(left, right, rcond=None)[0]
        return 0.5 * (rest + sum(float((y - x @ beta) @ v @ (y - x @ beta)) for x, y, v in parts)), beta

    start = np.array([np.log(0.5), 0.0, np.log(0.3), np.log(0.5)])
    found = minimize(lambda t: solve(t)[0], start, method="L-BFGS-B", bounds=[(-5, 2), (-3, 3), (-5, 2), (-3, 1)])
    beta, whole = solve(found.x)[1], covariance(found.x)
    columns = list(trial.scores.columns)
    early, end = [columns.index(c) for c in (0, *trial.early)], columns.index(trial.last)
    mean, sd = np.empty(len(test)), np.empty(len(test))
    for k, i in enumerate(test):
        o = [c for c in early if seen[i, c]]
        pull = np.linalg.solve(whole[np.ix_(o, o)], whole[o, end])
        mean[k] = design[i, end] @ beta + pull @ (everything[i, o] - design[i][o] @ beta)
        sd[k] = np.sqrt(whole[end, end] - pull @ whole[o, end])
    half = np.floor(trial.scores[0].to_numpy()[test] / 2)
    return Prediction(mean, sd, ndtr((half + 0.5 - mean) / sd))


# The twin, which learns nothing


def twin(trial: Trial, virtual: int, early: bool) -> tuple[Prediction, Array, Array, Array]:
    """Return its prediction, the ends of its 90 % interval, and the effective sample."""
    knowledge, study = load_knowledge(), read_study(trial.study, load_knowledge())
    doses = {arm.id: arm.doses for arm in study.arms}
    regimens = [Regimen(name, name, tuple(doses[name]), ()) for name in trial.arms]
    scale = knowledge.scales["HAMD17"]
    engine = get_engine(jobs=1)
    everyone = virtual_population(
        knowledge, engine, diagnosis="mdd", n=virtual, worlds=how_many_worlds(knowledge), seed=SEED,
        outputs=twin_outputs(knowledge),
    )  # fmt: skip
    population = everyone.take(np.flatnonzero(everyone.ok))
    library = course_library(population, knowledge, engine, regimens, weeks=trial.last)
    engine.close()
    out = np.empty((6, len(trial.scores)))
    alike, nothing = np.zeros(len(population)), Usable((), {})
    for i, (code, (_, row)) in enumerate(zip(trial.arm, trial.scores.iterrows(), strict=True)):
        seen = {w: float(row[w]) for w in trial.early if np.isfinite(row[w])} if early else {}
        twins = library.twins(alike, nothing, scale, float(row[0]), f"{trial.name}: ")
        found = last_score(twins, trial.arms[code], Scores(scale, seen))
        out[:, i] = (found.mean, found.sd, found.response, found.low, found.high, found.sample)
    return Prediction(out[0], out[1], out[2]), out[3], out[4], out[5]


def cross_validated(trial: Trial, fit: Callable[[Trial, Array, Array], Prediction], repeats: int) -> Prediction:
    """Return predictions of each patient by models of others, averaged over repeats."""
    total = np.zeros((3, len(trial.scores)))
    splits = RepeatedFolds(FOLDS, repeats, SEED).split(np.zeros(len(trial.scores)), trial.response())
    for train, test in splits:
        found = fit(trial, train, test)
        total[:, test] += (found.mean, found.sd, found.response)
    return Prediction(*(total / repeats))


def text(found: Measure, digits: int = 2) -> str:
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def summary(trial: Trial, *, repeats: int = REPEATS, virtual: int = VIRTUAL, scales: Sequence[Scale] = ()) -> list[str]:
    """Return the table of one trial."""
    trial = trial.used()
    y, event = trial.scores[trial.last].to_numpy(), trial.response()
    arms = np.bincount(trial.arm).tolist()
    lines = [
        trial.name,
        f"  {len(y)} patients seen early and at the end (by arm {arms}); {event.mean():.0%} responded",
        f"  {'':34s}{'R2 of the last score':>24s}{'RMSE':>7s}{'AUC of response':>24s}{'Brier score':>23s}",
    ]
    fits: dict[str, Callable[[Trial, Array, Array], Prediction]] = {
        "baseline only, penalised": regression("penalised", False),
        f"rule: improved by {IMPROVED:.0%}": rule,
        "mixed model": mixed_model,
        "penalised regression": regression("penalised", True),
        "gradient boosting": regression("boosting", True),
    }
    found = {name: cross_validated(trial, fit, repeats) for name, fit in fits.items()}
    found_sd = found["mixed model"].sd
    extra: list[str] = []
    if trial.study:
        before, *_ = twin(trial, virtual, False)
        after, low, high, sample = twin(trial, virtual, True)
        found = {**found, "twin, baseline only": before, "twin with early scores": after}
        inside = mean_estimate((low <= y) & (y <= high))
        extra += [
            f"  90 % intervals of the twin with early scores hold {text(inside)} of the last scores; mean width",
            f"  {(high - low).mean():.1f}, mean error {np.mean(after.mean - y):+.1f} points, least effective sample "
            f"{sample.min():.0f}",
        ]
    half = float(ndtri((1 + LEVEL) / 2)) * found_sd
    inside = mean_estimate(np.abs(y - found["mixed model"].mean) <= half)
    extra.append(f"  90 % intervals of the mixed model hold {text(inside)}; mean width {(2 * half).mean():.1f}")
    plain = cross_validated(trial, lambda t, a, b: Prediction(*([np.full(len(b), y[a].mean())] * 3)), repeats).mean
    for name, p in found.items():
        # shares of training folds would order the patients of one group by what is left out
        rank = 0.25 + 0.5 * improved_early(trial) if fits.get(name) is rule else p.response
        lines.append(
            f"  {name:34s}{text(r_squared(y, p.mean, plain)):>24s}{np.sqrt(np.mean((y - p.mean) ** 2)):7.2f}"
            f"{text(auc(event, rank)):>24s}{text(brier(event, p.response), 3):>23s}"
        )
    lines += extra
    if trial.study:
        own = found["twin with early scores"]
        lines.append("  twin with early scores less another model: squared error [points squared], Brier score")
        for name in list(fits)[1:]:
            other = found[name]
            score = mean_estimate((y - own.mean) ** 2 - (y - other.mean) ** 2)
            chance = mean_estimate((event - own.response) ** 2 - (event - other.response) ** 2)
            lines.append(f"    {name:32s}{text(score, 1):>24s}{text(chance, 3):>27s}")
    else:
        lines.append("  the twin is left out: the knowledge base has no such scale")
    return lines


def report(folder: Path, *, repeats: int = REPEATS, virtual: int = VIRTUAL) -> str:
    """Return the whole text."""
    _, worlds = knowledge_state(load_knowledge())
    lines = [
        f"{FOLDS} folds, {repeats} repeats; {virtual} virtual patients: {worlds}.",
        "95 % intervals in brackets, over patients. R2 is against the mean of the training folds. The AUC of a model",
        "that hardly varies is too low, since its mean moves against the patients left out.",
        "The twin learns from no patient; the mean courses of the first two trials took part in the calibration.",
    ]
    for trial in trials(folder):
        lines += ["", *summary(trial, repeats=repeats, virtual=virtual)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    absent = [f for f in ("rbmi_antidepressant_data.csv", "riesby_imipramine_hdrs.txt", "BtheB.csv")
              if not (given.folder / f).is_file()]  # fmt: skip
    if absent:
        print(f"{given.folder}: no file {', '.join(absent)}", file=sys.stderr)
        return 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = report(given.folder)
    if given.write:
        atomic_write(RESULT, found)
    print(found, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
