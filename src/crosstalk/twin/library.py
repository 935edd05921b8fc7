"""Courses of a virtual population under every regimen, simulated once and kept, for forecasts of all patients.

A forecast weighs virtual patients who have run already. So it costs a fraction of a second, it can rest on many of
them, and one patient and a cohort are forecast in the same way. Their baseline severities are spread evenly over a part
of the scale, since weights can choose a severity but not make one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine, Failure, Status
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Distribution, Regimen, Scale
from crosstalk.model.assembly import assemble
from crosstalk.model.scales import score_at
from crosstalk.population.latent import patient_normals, patient_uniforms
from crosstalk.population.measure import FLUCTUATION, record_scale
from crosstalk.population.patients import Patients, baseline
from crosstalk.population.treatment import treatment_problem
from crosstalk.provenance import versions
from crosstalk.statistics.weighted import effective_sample
from crosstalk.store import Store, cached, hash_value
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.estimate import Estimator
from crosstalk.twin.relations import relations

__all__ = ["DIMENSIONS", "CourseLibrary", "Twins", "course_library", "scale_score"]

Array = NDArray[np.float64]

FORMAT = 3  # raised when the content of a file changes its meaning
DIMENSIONS = ("NV", "MOOD")
SEVERITY = (0.08, 0.75)  # part of the anchor that baselines are spread over: 4 to 39 points of HAMD-17 (assumed)
RTOL = 1e-4  # leaves errors of a thousandth of a point, far below the rater's
LEAST = 1e-4  # virtual patients who together have less than this share of the weight are left out
SILENT = 4.0  # standard errors of zero within which a coordinate is taken to have no part in a panel (assumed)


def scale_score(scale: Scale, nv: Array, mood: Array) -> Array:
    """True score on a scale, from both symptom dimensions [points]."""
    first, second = scale.weights
    return np.asarray(score_at(scale, first * nv + second * mood), dtype=np.float64)


@dataclass(frozen=True)
class Twins:
    """Virtual patients with weights, and their true courses: what stands for one patient.

    Attributes
    ----------
    patients : Patients
        Who ran to the end of every regimen.
    log_weight : array, shape (n,)
    scale : Scale
    recorded : array, shape (n,) [points]
        Baseline score as recorded; the same for all if the panel holds one.
    dimensions : mapping of str to mapping of str to array, shape (n, n_weeks)
        By regimen and symptom dimension, by week from 0 on.
    failed : mapping of str to int
        Virtual patients left out since they failed, by regimen.
    features : array, shape (n, d)
        What differs by chance alone, see `crosstalk.twin.estimate.Estimator`.
    target : array, shape (d,)
    fixed : int
        How many of the first features are known of the patient, and stay so whatever is seen later.
    """

    patients: Patients
    log_weight: Array
    scale: Scale
    recorded: Array
    dimensions: Mapping[str, Mapping[str, Array]]
    failed: Mapping[str, int]
    features: Array
    target: Array
    fixed: int

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def effective_sample(self) -> float:
        """How many equal weights are as good."""
        return effective_sample(self.log_weight)

    @property
    def spread(self) -> Array:
        """SD of the fluctuation of each virtual patient, shape (n,) [points]."""
        return self.patients.covariates.get(FLUCTUATION, np.zeros(len(self))) * self.scale.span

    def course(self, regimen: str) -> Array:
        """True course of the scale, shape (n, n_weeks) [points]."""
        found = self.dimensions[regimen]
        return scale_score(self.scale, found["NV"], found["MOOD"])

    def estimator(self, log_likelihood: Array | None = None) -> Estimator:
        """Means over these virtual patients.

        Parameters
        ----------
        log_likelihood : array, shape (n,), optional
            Of what was seen later. It may speak of everything but what is known of the patient.
        """
        fit = self.log_weight if log_likelihood is None else self.log_weight + log_likelihood
        some = slice(None) if log_likelihood is None else slice(0, self.fixed)
        weight = np.exp(fit - fit.max())
        return Estimator(weight, self.patients.world, self.features[:, some], self.target[some])


@dataclass(frozen=True)
class CourseLibrary:
    """A virtual population with a baseline severity each, and its courses.

    Attributes
    ----------
    population : Patients
        All with a valid baseline, in the order of the arrays.
    start : mapping of str to array, shape (n,)
        Symptom dimensions at baseline; NaN for those who cannot have the severity.
    courses : mapping of str to mapping of str to array, shape (n, n_weeks)
        By regimen and symptom dimension, by week from 0 on; NaN for those who failed.
    scale : Scale
        Of the diagnosis.
    severity : Distribution or None
        Of recorded baselines on it, for patients without a score.
    anchor : float [points]
        Length of the anchor that baselines are spread over.
    """

    population: Patients
    start: Mapping[str, Array]
    courses: Mapping[str, Mapping[str, NDArray[np.float32]]]
    scale: Scale
    severity: Distribution | None
    anchor: float
    _kept: dict[str, Array] = field(default_factory=dict, repr=False)

    def twins(
        self,
        log_weight: Array,
        fit: Usable,
        scale: Scale,
        recorded: float | None,
        who: str = "",
        history: Array | None = None,
    ) -> Twins:
        """Weigh the library for one patient.

        Parameters
        ----------
        log_weight : array, shape (n,)
            By the panel, see `crosstalk.twin.posterior.Posterior`.
        fit : Usable
            What they come from.
        scale : Scale
        recorded : float or None [points]
            Baseline score.
        who : str
            Begins a message.
        history : array, shape (n,), optional
            Log likelihood of what was before; it may speak of everything but what is known of the patient.

        Raises
        ------
        TwinError
            If no virtual patient can have the score.
        """
        true, score, severity = self.started(scale, recorded, who)
        fine = {
            r: np.asarray(np.isfinite(c["NV"]).all(axis=1) & np.isfinite(c["MOOD"]).all(axis=1), dtype=np.bool_)
            for r, c in self.courses.items()
        }
        before = 0.0 if history is None else history
        total = np.where(np.isfinite(true), log_weight + severity + before, -np.inf)
        rows = _weighty(total)
        complete = rows[np.all([f[rows] for f in fine.values()], axis=0)] if fine else rows
        if not len(complete):
            raise TwinError(
                f"{who}none of the virtual patients who resemble this one runs to the end of every regimen; failures "
                f"by regimen: { ({r: int((~f[rows]).sum()) for r, f in fine.items()}) }"
            )
        features, target, fixed = self._features(complete, fit, true, recorded, scale)
        if history is not None:
            features, target = features[:, :fixed], target[:fixed]
        return Twins(
            self.population.take(complete),
            total[complete],
            scale,
            score[complete],
            {r: {d: c[d][complete].astype(np.float64) for d in DIMENSIONS} for r, c in self.courses.items()},
            {r: int((~f[rows]).sum()) for r, f in fine.items()},
            features,
            target,
            fixed,
        )

    def started(self, scale: Scale, recorded: float | None, who: str = "") -> tuple[Array, Array, Array]:
        """True and recorded score at baseline, and the log likelihood of the latter, shape (n,) each; see `twins`."""
        true = scale_score(scale, self.start["NV"], self.start["MOOD"])
        if recorded is not None:
            low, high = (float(v) for v in score_at(scale, self.anchor * np.array(SEVERITY)))
            if not low <= recorded <= high:
                raise TwinError(
                    f"{who}a {scale.id} of {recorded:g} cannot be reached by the virtual patients, who have "
                    f"{np.ceil(low):g} to {np.floor(high):g}; the model speaks of depressed patients"
                )
            score = np.full(len(true), recorded)
            severity = -0.5 * ((recorded - true) / scale.rater_sd) ** 2
        else:
            noise = patient_normals(self.population.seed, "rater at baseline", self.population.index)
            score = record_scale(true, scale, noise)
            severity = self._usual(score)
        return true, score, severity

    def _usual(self, score: Array) -> Array:
        """Log density of recorded baselines in the diagnosis; flat if it defines none."""
        d = self.severity
        if d is None or not d.spread:
            return np.zeros(len(score))
        inside = (score >= d.lower) & (score <= d.upper)
        return np.where(inside, -0.5 * ((score - d.center) / d.spread) ** 2, -np.inf)

    def _features(
        self, rows: NDArray[np.intp], fit: Usable, true: Array, recorded: float | None, scale: Scale
    ) -> tuple[Array, Array, int]:
        """What is known of the patient, then what has no part in the panel; the means of both; how many are known."""
        table = {**self.population.parameters, **self.population.covariates}
        columns, target = [], []
        for name, value in fit.known.items():
            if name in table:
                columns.append(np.log(table[name][rows]) if name == "BMI" else table[name][rows])
                target.append(float(np.log(value)) if name == "BMI" else value)
        fixed = len(columns)
        if recorded is not None:
            # around the recorded score as the rater errs
            columns += [true[rows], (true[rows] - recorded) ** 2]
            target += [recorded, scale.rater_sd**2]
        silent = self.silent(fit)
        columns += list(self.population.coordinates[rows][:, silent].T)
        target += [0.0] * int(silent.sum())
        return np.array(columns).reshape(len(columns), len(rows)).T, np.array(target), fixed

    def silent(self, fit: Usable) -> NDArray[np.bool_]:
        """Coordinates on which nothing of the panel depends: their mean stays zero."""
        n, d = self.population.coordinates.shape
        loud = np.zeros(d, dtype=np.bool_)
        told = (relations()[name].unknown for name in fit.told)
        for name in (*(o.variable for o in fit.observed), *fit.known, *told):
            if name not in self._kept:
                table = {**self.population.parameters, **self.population.covariates, **self.population.outputs}
                if name not in table:
                    continue
                value = table[name]
                value = np.log(np.maximum(value, 1e-300)) if value.min() > 0 else value
                z = self.population.coordinates
                z = (z - z.mean(axis=0)) / z.std(axis=0)
                spread = value.std()
                self._kept[name] = (value - value.mean()) @ z / (n * spread) if spread > 0 else np.zeros(d)
            loud |= np.abs(self._kept[name]) * np.sqrt(n) > SILENT
        return ~loud


def _weighty(log_weight: Array) -> NDArray[np.intp]:
    """Positions of all but the lightest, in their order."""
    top = log_weight.max()
    if not np.isfinite(top):
        return np.empty(0, dtype=np.intp)
    weight = np.exp(log_weight - top)
    # of equal ones the first go, so that it is the same on every machine
    order = np.argsort(weight, kind="stable")
    light = np.cumsum(weight[order]) < LEAST * weight.sum()
    return np.sort(order[~light])


def course_library(
    population: Patients,
    knowledge: Knowledge,
    engine: Engine,
    regimens: Sequence[Regimen],
    *,
    weeks: int,
    diagnosis: str = "mdd",
    progress: Callable[[str], None] | None = None,
) -> CourseLibrary:
    """Courses from the cache, or simulated.

    Parameters
    ----------
    population : Patients
        With a valid baseline.
    regimens : sequence of Regimen
        Each is simulated once: a further one leaves the others as they are.
    weeks : int
        Horizon.
    progress : callable, optional
        Told in words what is being done.

    Raises
    ------
    TwinError
        If no virtual patient runs to the end of every regimen.

    Notes
    -----
    Kept in the cache, see `crosstalk.store`.
    """
    say = progress or (lambda _: None)
    definition = knowledge.diagnosis(diagnosis)
    scale = knowledge.scales[definition.scale]
    store = cached(
        "courses", FORMAT, assemble((), knowledge).sha256, knowledge.sha256, type(engine).__name__, diagnosis, SEVERITY,
        versions(), population.seed, population.index, population.world, population.coordinates, population.parameters,
    )  # fmt: skip
    parts = {r.id: _part(r, weeks) for r in regimens}
    kept = {r.id: store.load_arrays(parts[r.id]) for r in regimens}
    settled = _settled(population, scale, knowledge, engine, store, say)
    courses: dict[str, dict[str, NDArray[np.float32]]] = {}
    for number, regimen in enumerate(regimens, start=1):
        found = kept[regimen.id]
        if found is None:
            say(f"regimen {number} of {len(regimens)}: {regimen.name} (kept for next time)")
            found = _simulate(settled, regimen, knowledge, engine, weeks, diagnosis)
            store.save_arrays(found, parts[regimen.id])
        courses[regimen.id] = found
    finite = [np.isfinite(c[d]).all(axis=1) for c in courses.values() for d in DIMENSIONS]
    if not np.all(finite, axis=0).any():
        failed = {r: int((~np.isfinite(c["NV"]).all(axis=1)).sum()) for r, c in courses.items()}
        raise TwinError(f"no virtual patient runs to week {weeks} of every regimen; failures by regimen: {failed}")
    start = {d: np.where(settled.ok, settled.outputs[d], np.nan) for d in DIMENSIONS}
    return CourseLibrary(population, start, courses, scale, definition.severity, scale.equivalents[-1][0])


def _part(regimen: Regimen, weeks: int) -> str:
    """Where the courses of a regimen are kept: one id may have other doses, as of an earlier treatment, or weeks."""
    return f"{regimen.id}-{hash_value(regimen.doses, weeks)[:16]}"


def _settled(
    population: Patients, scale: Scale, knowledge: Knowledge, engine: Engine, store: Store, say: Callable[[str], None]
) -> Patients:
    """The population with a severity each: vulnerability, states, and both dimensions at baseline."""
    kept = store.load_arrays("baseline")
    if kept is None:
        say("baselines of the virtual patients (kept for next time)")
        low, high = score_at(scale, scale.equivalents[-1][0] * np.array(SEVERITY))
        wanted = low + (high - low) * patient_uniforms(population.seed, "library severity", population.index)
        found = baseline(population, knowledge, engine, outputs=DIMENSIONS, score=(scale.id, wanted))
        solved = {k: v for k, v in found.parameters.items() if k not in population.parameters}
        tables = {"parameter": solved, "state": found.states, "output": found.outputs}
        kept = {f"{kind}:{k}": v for kind, table in tables.items() for k, v in table.items()}
        kept["failed"] = np.flatnonzero(~found.ok)
        store.save_arrays(kept, "baseline")
    part = {kind: _named(kept, f"{kind}:") for kind in ("parameter", "state", "output")}
    failure = Failure(Status.NO_STEADY_STATE)
    return replace(
        population,
        parameters={**population.parameters, **part["parameter"]},
        states=part["state"],
        outputs=part["output"],
        failures=dict.fromkeys(kept["failed"].tolist(), failure),
    )


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _simulate(
    patients: Patients,
    regimen: Regimen,
    knowledge: Knowledge,
    engine: Engine,
    weeks: int,
    diagnosis: str,
) -> dict[str, NDArray[np.float32]]:
    """Both dimensions by week, shape (n, n_weeks) each; NaN for who has no baseline or fails."""
    # a model with the drugs of this regimen alone, so that its courses do not depend on what else is asked for
    model = assemble(tuple(sorted({dose.drug for dose in regimen.doses})), knowledge)
    good = np.flatnonzero(patients.ok)
    some = patients.take(good)
    problem = treatment_problem(
        some, regimen.doses, model, knowledge, diagnosis=diagnosis, outputs=DIMENSIONS,
        times_h=np.arange(weeks + 1, dtype=np.float64) * HOURS_PER_WEEK, horizon_h=weeks * HOURS_PER_WEEK,
    )  # fmt: skip
    result = engine.simulate(problem, rtol=RTOL)
    found = {}
    for name in DIMENSIONS:
        # a millionth of a point: half of the memory
        column = np.full((len(patients), weeks + 1), np.nan, dtype=np.float32)
        column[good] = result[name]
        found[name] = column
    return found
