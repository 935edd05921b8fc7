"""A model that is locked: frozen once with its hash, applied as it is, never refitted.

A pickle runs whatever code it holds when it is opened, so a model is not kept as one. A locked model is JSON: every
number of a penalised regression (what fills a gap, floor, mean, scale, coefficient) with the units, ranges and
performance of its training. It can be read by a person, checked by hand and computed in any language. Trees and fitted
steps of others cannot be written so, and are refused.

`apply` gives the risk or score of each patient, an interval or a set of outcomes, and flags of what lies outside of the
training; `shift` compares whole groups. Recalibration on new patients is reported beside, and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from crosstalk.errors import LearnError, UsageError
from crosstalk.learn.cohort import Cohort, CohortColumns
from crosstalk.learn.ladder import Ladder, fit_rung, lightly
from crosstalk.learn.locked_schema import problems
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.statistics.conformal import conformal_quantile, least_people

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Applied", "Feature", "LockedModel", "Shift", "apply", "freeze", "read_locked", "shift"]

Array = NDArray[np.float64]
FORMAT = "crosstalk locked model 1"
LEVEL = 0.9
SHIFTED = 0.25  # standardised difference of means: Stuart 2010, doi 10.1214/09-STS313
LEAST_TOGETHER = 10  # people below which groups are not compared (assumed)


@dataclass(frozen=True, slots=True)
class Feature:
    """A column and its part of the linear predictor: ``coefficient * (x - mean) / scale``.

    Attributes
    ----------
    kind : {"number", "log", "category"}
        A logarithm is taken of the value or of the floor, whichever is more; a category has a coefficient per level.
    fill : float
        Stands for a missing value, on the scale after the logarithm.
    low, high : float
        Smallest and largest value in training; `p2_5` and `p97_5` its central 95 %.
    average, spread : float
        Mean and SD in training of the value, or of its logarithm.
    missing : float
        Share without a value in training.
    """

    name: str
    kind: str
    unit: str
    coefficient: float
    fill: float
    floor: float
    mean: float
    scale: float
    low: float
    high: float
    p2_5: float
    p97_5: float
    average: float
    spread: float
    missing: float
    levels: dict[str, float]


@dataclass(frozen=True)
class LockedModel:
    """A frozen model.

    Attributes
    ----------
    sha256 : str
        Of everything else.
    residuals : mapping of group to list
        Quantiles of out-of-fold error for the intervals (a score) or sets (an event), by sex where there are enough.
    """

    format: str
    crosstalk: str
    outcome: str
    kind: str
    positive: str
    rung: str
    name: str
    intercept: float
    penalty: float
    features: tuple[Feature, ...]
    training: Mapping[str, Any]
    residuals: Mapping[str, Mapping[str, float]]
    level: float
    sha256: str = ""

    def to_json(self) -> str:
        """The file, with its hash."""
        return json.dumps({**self._content(), "sha256": self.sha256}, indent=2, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        content = asdict(self)
        content.pop("sha256")
        content["features"] = list(content["features"])
        return content

    def hash(self) -> str:
        """SHA-256 of the content in a fixed form."""
        return hash_bytes(json.dumps(self._content(), sort_keys=True, ensure_ascii=False, separators=(",", ":")))

    def columns(self, header: Iterable[str]) -> CohortColumns:
        """What is to be read beside analytes from a file with these columns; what it lacks is flagged later."""
        have = set(header)
        return CohortColumns(None, covariates=tuple(c for c in self.training["covariates"] if c in have))


@dataclass(frozen=True, slots=True)
class Applied:
    """One patient.

    Attributes
    ----------
    value : float
        Probability of the event, or score.
    low, high : float
        Interval of a score at the model's level; NaN for an event.
    outcomes : tuple of str
        Outcomes that cannot be excluded, for an event; both means that the model cannot tell.
    flags : tuple of str
        What lies outside of the training or was filled.
    """

    patient: str
    value: float
    low: float
    high: float
    outcomes: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """How a column of new patients differs from training."""

    name: str
    difference: float
    outside: float
    missing: float
    missing_in_training: float
    shifted: bool


def freeze(cohort: Cohort, ladder: Ladder, rung: str, performance: Mapping[str, Any] | None = None) -> LockedModel:
    """Fit one rung on all patients by penalised regression, and lock it.

    Parameters
    ----------
    rung : str
        Id of a rung that was run, such as ``clinical`` or ``panel``.
    performance : mapping, optional
        What cross-validation found, kept with the model.

    Raises
    ------
    LearnError
        If the rung was skipped, or holds features that a locked model cannot carry.
    """
    chosen = next((r for r in ladder.rungs if r.id == rung), None)
    if chosen is None:
        raise UsageError(f"no rung '{rung}'; expected one of {', '.join(r.id for r in ladder.rungs)}")
    if chosen.skipped:
        raise LearnError(f"{chosen.name} cannot be locked, since it was not run: {chosen.skipped}")
    columns = chosen.columns
    if columns.step is not None or columns.features or rung in ("prevalence", "week2"):
        raise LearnError(
            f"{chosen.name} cannot be locked: only regression on clinical columns and analytes can be written as "
            "numbers; choose clinical, crp or panel"
        )
    rows = np.arange(len(cohort))
    with lightly():
        fitted = fit_rung(chosen, "penalised", cohort, ladder.table, rows, ladder.seed)
    prepare, search = fitted[0], fitted[-1]
    model = search.best_estimator_
    coefficients = iter(np.ravel(model.coef_).tolist())
    table = ladder.table
    features: list[Feature] = []
    for kind, names in (("number", columns.numbers), ("log", columns.logs)):
        if not names:
            continue
        block = prepare.named_transformers_["numbers" if kind == "number" else "logs"]
        scaler, imputer = block[-1], block[-2]
        floors = block[0].floor_ if kind == "log" else np.zeros(len(names))
        for j, name in enumerate(names):
            features.append(
                _feature(
                    name, kind, cohort.units.get(name, ""), next(coefficients), float(imputer.statistics_[j]),
                    float(floors[j]), float(scaler.mean_[j]), float(scaler.scale_[j]),
                    table[name].to_numpy(dtype=float),
                )
            )  # fmt: skip
    if columns.categories:
        encoder = prepare.named_transformers_["categories"]
        for name, levels in zip(columns.categories, encoder.categories_, strict=True):
            by_level = {str(level): next(coefficients) for level in levels}
            features.append(Feature(name, "category", "", 0.0, *(0.0,) * 2, 0.0, 1.0, *(0.0,) * 7, by_level))
    training: dict[str, Any] = {
        "n": len(cohort), "events": cohort.events, "mean": float(cohort.y.mean()), "input_sha256": cohort.sha256,
        "folds": ladder.folds, "repeats": ladder.repeats, "seed": ladder.seed, "performance": dict(performance or {}),
        "treated": list(cohort.treated),
        "covariates": [c for c in (*columns.numbers, *columns.categories) if c not in cohort.units],
    }  # fmt: skip
    values = ladder.predictions[rung, "penalised"].values.mean(axis=0)
    penalty = search.best_params_.get("C", search.best_params_.get("alpha"))
    locked = LockedModel(
        FORMAT, package_version(), cohort.outcome, cohort.kind, cohort.positive, rung, chosen.name,
        float(np.ravel(model.intercept_)[0]), float(penalty), tuple(features), training,
        _residuals(cohort, values), LEVEL,
    )  # fmt: skip
    from dataclasses import replace

    return replace(locked, sha256=locked.hash())


def _feature(
    name: str, kind: str, unit: str, coefficient: float, fill: float, floor: float, mean: float, scale: float, x: Array
) -> Feature:
    known = x[np.isfinite(x)]
    work = np.log(np.maximum(known, floor)) if kind == "log" else known
    low, high = float(known.min()), float(known.max())
    p2_5, p97_5 = (float(v) for v in np.quantile(known, (0.025, 0.975)))
    return Feature(
        name, kind, unit, coefficient, fill, floor, mean, scale, low, high, p2_5, p97_5, float(work.mean()),
        float(work.std(ddof=1)), float(1 - len(known) / len(x)), {},
    )  # fmt: skip


def _residuals(cohort: Cohort, values: Array) -> dict[str, dict[str, float]]:
    """Conformal quantiles of out-of-fold errors, of all and by sex where there are enough people."""
    parts = {"all": np.ones(len(cohort), dtype=bool)}
    if "sex" in cohort.table:
        sex = cohort.table["sex"].to_numpy()
        parts |= {"female": sex == 1, "male": sex == 0}
    found: dict[str, dict[str, float]] = {}
    for name, rows in parts.items():
        if cohort.kind == "score":
            one = {"error": conformal_quantile(np.abs(cohort.y - values)[rows], LEVEL)}
        else:
            wrong = np.where(cohort.y > 0.5, 1 - values, values)
            one = {
                str(c): conformal_quantile(wrong[rows & (cohort.y == c)], LEVEL)
                for c in (0, 1)
                if (rows & (cohort.y == c)).sum() >= least_people(LEVEL)
            }
        if one and all(isfinite(v) for v in one.values()) and (cohort.kind == "score" or len(one) == 2):
            found[name] = one
    return found


def read_locked(path: str | Path) -> LockedModel:
    """Read a locked model; its form, its numbers and its hash are checked.

    Raises
    ------
    LearnError
        If the file is no locked model, holds what cannot be computed with, or was changed since it was locked.
    """
    file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (ValueError, RecursionError) as error:  # no text, no JSON, a number of thousands of digits, a deep nest
        raise LearnError(
            f"{file}: is no locked model; expected the JSON that `crosstalk learn --out` writes"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise LearnError(f"{file}: received the format '{got}', expected '{FORMAT}'; lock the model again")
    wrong = problems(content)
    if wrong:
        raise LearnError(f"{file}: a part of the locked model is missing or unknown ({wrong}); lock the model again")
    model = LockedModel(features=tuple(Feature(**f) for f in content.pop("features")), **content)
    if model.hash() != model.sha256:
        raise LearnError(
            f"{file}: its content has the hash {model.hash()[:12]}, but it was locked with {str(model.sha256)[:12]}; "
            "the file was changed after locking"
        )
    return model


def _values(feature: Feature, table: pd.DataFrame) -> tuple[Array, NDArray[np.bool_]]:
    """Contribution to the linear predictor, and where it was filled."""
    if feature.kind == "category":
        texts = table[feature.name].astype(str)
        part = np.array([feature.levels.get(text, 0.0) for text in texts])
        return part, np.array([text not in feature.levels for text in texts])
    x = table[feature.name].to_numpy(dtype=float) if feature.name in table else np.full(len(table), np.nan)
    gone = ~np.isfinite(x)
    work = np.log(np.maximum(np.where(gone, 1.0, x), feature.floor)) if feature.kind == "log" else x
    work = np.where(gone, feature.fill, work)
    with np.errstate(over="ignore"):
        return feature.coefficient * (work - feature.mean) / feature.scale, gone


def _coded(model: LockedModel, cohort: Cohort) -> pd.DataFrame:
    """The table, with a treatment that is written as text coded as in training."""
    column, value = model.training["treated"]
    if column not in cohort.categories:
        return cohort.table
    texts = cohort.table[column]
    return cohort.table.assign(**{column: np.where(texts == "missing", np.nan, (texts == value).astype(float))})


def apply(model: LockedModel, cohort: Cohort) -> tuple[Applied, ...]:
    """Apply a locked model to patients; nothing is fitted.

    Raises
    ------
    LearnError
        If a column that the model needs is not in the file, or has another unit, or a result is no finite number.
    """
    lacking = [f.name for f in model.features if f.name not in cohort.table]
    if len(lacking) == len(model.features):
        raise LearnError(f"{cohort.path}: holds none of the predictors of the model ({', '.join(lacking[:8])})")
    for f in model.features:
        unit = cohort.units.get(f.name, f.unit)
        if unit != f.unit:
            raise LearnError(f"{cohort.path}: {f.name} is in {unit}; the model was made in {f.unit}")
        if f.kind != "category" and f.name in cohort.categories and f.name != model.training["treated"][0]:
            raise LearnError(f"{cohort.path}: column '{f.name}' holds texts; the model was made of numbers")
    table = _coded(model, cohort)
    total = np.full(len(cohort), float(model.intercept))
    flags: list[list[str]] = [[] for _ in range(len(cohort))]
    for f in model.features:
        if f.kind == "category" and f.name not in cohort.table:
            part, gone = np.zeros(len(cohort)), np.ones(len(cohort), dtype=bool)
        else:
            part, gone = _values(f, table)
        total += part
        for i in map(int, np.flatnonzero(gone)):
            word = (
                "is a level that training did not have" if f.kind == "category" else "is missing; the median is taken"
            )
            flags[i].append(f"{f.name} {word}")
        if f.kind == "category" or f.name not in cohort.table:
            continue
        x = table[f.name].to_numpy(dtype=float)
        for i in map(int, np.flatnonzero((x < f.low) | (x > f.high))):
            side = "below" if x[i] < f.low else "above"
            flags[i].append(f"{f.name} {x[i]:.3g} lies {side} all of training ({f.low:.3g} to {f.high:.3g})")
    if not np.isfinite(total).all():
        patient = cohort.patients[int(np.flatnonzero(~np.isfinite(total))[0])]
        raise LearnError(f"{cohort.path}: the model gives patient {patient} no finite number; check its coefficients")
    values = total if model.kind == "score" else expit(total)
    sexes = cohort.table["sex"].to_numpy(dtype=float) if "sex" in cohort.table else np.full(len(cohort), np.nan)
    rows = []
    for j, patient in enumerate(cohort.patients):
        group = {1.0: "female", 0.0: "male"}.get(float(sexes[j]), "all")
        quantiles = model.residuals.get(group) or model.residuals.get("all")
        rows.append(_applied(model, patient, float(values[j]), quantiles, tuple(flags[j])))
    return tuple(rows)


def _applied(
    model: LockedModel, patient: str, value: float, quantiles: Mapping[str, float] | None, flags: tuple[str, ...]
) -> Applied:
    if quantiles is None:
        return Applied(patient, value, float("nan"), float("nan"), (), flags)
    if model.kind == "score":
        return Applied(patient, value, value - quantiles["error"], value + quantiles["error"], (), flags)
    outcomes = [name for name, wrong, c in ((model.positive, 1 - value, "1"), (f"not {model.positive}", value, "0"))
                if wrong <= quantiles[c]]  # fmt: skip
    return Applied(patient, value, float("nan"), float("nan"), tuple(outcomes), flags)


def shift(model: LockedModel, cohort: Cohort) -> tuple[Shift, ...]:
    """Compare new patients with training, column by column; empty with fewer than 10 people."""
    if len(cohort) < LEAST_TOGETHER:
        return ()
    table = _coded(model, cohort)
    rows = []
    for f in model.features:
        if f.kind == "category" or f.name not in cohort.table:
            continue
        x = table[f.name].to_numpy(dtype=float)
        known = x[np.isfinite(x)]
        missing = float(1 - len(known) / len(x))
        if not len(known):
            rows.append(Shift(f.name, float("nan"), float("nan"), 1.0, f.missing, True))
            continue
        work = np.log(np.maximum(known, f.floor)) if f.kind == "log" else known
        spread = f.spread if f.spread > 0 else 1.0
        difference = float((work.mean() - f.average) / spread)
        # chance alone moves the mean of a few people
        noise = 1.96 * (1 / len(known) + 1 / model.training["n"]) ** 0.5
        outside = float(np.mean((known < f.p2_5) | (known > f.p97_5)))
        moved = abs(difference) > max(SHIFTED, noise) or missing > f.missing + 0.2
        rows.append(Shift(f.name, difference, outside, missing, f.missing, moved))
    return tuple(rows)
