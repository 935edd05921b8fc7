"""A study run on virtual patients: every arm, what would have been recorded, the counterpart of each result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine, Failure, Problem
from crosstalk.errors import StudyError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import Model, assemble
from crosstalk.population.enrolment import Enrolled, arm_population, enrol, enrol_all, enrol_everywhere, within
from crosstalk.population.latent import patient_uniforms
from crosstalk.population.measure import noise_table, observable_factor, record_analyte, visit_scores, within_log_sd
from crosstalk.population.patients import Patients
from crosstalk.population.treatment import treatment_problem
from crosstalk.population.worlds import Worlds
from crosstalk.results import Reported
from crosstalk.study.counterpart import estimate
from crosstalk.study.protocol import HOURS_PER_WEEK, earlier_doses
from crosstalk.study.records import Arm, Eligibility, Population, Result, Study
from crosstalk.study.statistics import Statistic

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "StudyRun",
    "arm_problem",
    "simulate",
    "simulate_candidates",
    "simulate_worlds",
    "study_model",
    "variable_of",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class StudyRun(Reported):
    """Recorded courses of every arm of a study.

    The same virtual patients run through every arm of one population, so differences between arms are free of chance
    imbalance.

    Attributes
    ----------
    times_h : array, shape (n_times,) [h]
    courses : mapping of (arm, output) to array, shape (n_patients, n_times)
        As recorded: scales with rater error and bounds, analytes with assay error, model variables as they are. NaN,
        or the last value, after a patient has left.
    enrolled : mapping of str to Enrolled
        The people of each arm.
    failures : mapping of str to mapping of int to Failure
        By arm and position of the patient.
    engine : str
        Kind of engine that ran it.
    knowledge : Knowledge, optional
        What it was run with; that in force by default.
    """

    study: Study
    seed: int
    times_h: Array
    courses: Mapping[tuple[str, str], Array]
    enrolled: Mapping[str, Enrolled]
    failures: Mapping[str, Mapping[int, Failure]]
    engine: str = ""
    knowledge: Knowledge | None = None

    @property
    def known(self) -> Knowledge:
        """The knowledge that it was run with."""
        return self.knowledge or load_knowledge()

    @property
    def _main(self) -> Enrolled:
        own = [arm.id for arm in self.study.arms if arm_population(self.study, arm) is self.study.population]
        return self.enrolled[own[0] if own else self.study.arms[0].id]

    @property
    def patients(self) -> Patients:
        """The people of the study's own population."""
        return self._main.patients

    @property
    def baseline(self) -> Mapping[str, Array]:
        """Analytes as measured at enrolment, by which patients are selected and stratified, each of shape (n,)."""
        return self._main.baseline

    @property
    def screened(self) -> int:
        """Candidates screened for the patients enrolled."""
        return self._main.screened

    def stratum(self, limits: Eligibility) -> NDArray[np.bool_]:
        """Which patients fall into a stratum by what was measured at enrolment, shape (n_patients,)."""
        return within(self.baseline[limits.analyte], limits)

    def estimate(self, result: Result, knowledge: Knowledge | None = None) -> Statistic:
        """The simulated counterpart of one published result."""
        return self._estimate(result, knowledge or self.known, None)

    def estimates_by_world(self, results: Sequence[Result], knowledge: Knowledge) -> tuple[Array, Array]:
        """Counterparts of some results in each world, of a run of `simulate_worlds`.

        Returns
        -------
        values, errors : array, shape (n_worlds, n_results)
            NaN where fewer than two patients of a world are in a stratum.
        """
        n = self.patients.worlds.n
        values = np.full((n, len(results)), np.nan)
        errors = values.copy()
        for w in range(n):
            for j, result in enumerate(results):
                values[w, j], errors[w, j] = self._estimate(result, knowledge, w)
        return values, errors

    def counts_by_world(self, results: Sequence[Result]) -> NDArray[np.intp]:
        """Patients behind some results in each world, in the smaller arm, shape (n_worlds, n_results).

        Those who have left by the time of a result, or failed, do not count.
        """
        worlds = range(self.patients.worlds.n)
        return np.array([[self._count(r, w) for r in results] for w in worlds], dtype=np.intp)

    def _count(self, result: Result, world: int) -> int:
        time = -1 if result.time_h is None else int(np.argmin(np.abs(self.times_h - result.time_h)))
        members = self._members(result, world)
        return min(int(np.isfinite(self.courses[arm, result.of][rows, time]).sum()) for arm, rows in members.items())

    def _members(self, result: Result, world: int | None) -> dict[str, NDArray[np.intp]]:
        """Rows of the patients of a result, by arm."""
        found: dict[str, NDArray[np.intp]] = {}
        for arm in (name for name in (result.arm, result.versus) if name):
            everyone = np.arange(len(self.enrolled[arm].patients))
            rows = everyone if world is None else everyone[self._rows(arm, world)]
            if result.stratum is not None:
                values = self.enrolled[arm].baseline[result.stratum.analyte]
                rows = rows[within(values[rows], result.stratum)]
            found[arm] = rows
        return found

    def _estimate(self, result: Result, knowledge: Knowledge, world: int | None) -> Statistic:
        members = self._members(result, world)
        scale = knowledge.scales.get(result.partner if result.endpoint == "responder-smd" else result.of)
        wanted = {name for name in (result.of, result.partner) if name}
        part = {
            (a, o): self.courses[a, o][rows] for a, rows in members.items() for o in wanted if (a, o) in self.courses
        }
        regressed = {a for a in result.measured if result.marker is not None}
        baseline = {(arm, a): self.enrolled[arm].baseline[a][rows] for arm, rows in members.items() for a in regressed}
        groups = {id(self.enrolled[arm]) for arm in members}
        return estimate(
            result, part, self.times_h, scale=scale, baseline=baseline, paired=len(members) == 2 and len(groups) == 1
        )

    def _rows(self, arm: str, world: int) -> slice:
        """Rows of one world; patients are in the order of worlds."""
        order = self.enrolled[arm].patients.world
        return slice(int(np.searchsorted(order, world)), int(np.searchsorted(order, world, side="right")))

    def columns(self) -> Iterator[tuple[str, str, Mapping[str, NDArray[Any]]]]:
        """Arm and variable of each course, and its long columns patient, time_h and value."""
        for (arm, output), values in self.courses.items():
            index = self.enrolled[arm].patients.index
            yield (
                arm,
                output,
                {
                    "patient": np.repeat(index, len(self.times_h)),
                    "time_h": np.tile(self.times_h, len(index)),
                    "value": values.ravel(),
                },
            )

    def to_frame(self) -> pd.DataFrame:
        """Tidy table with columns arm, patient, time_h, variable, value."""
        import pandas as pd

        parts = []
        for arm, output, columns in self.columns():
            size = len(columns["value"])
            names = {"arm": np.full(size, arm, dtype=object), "variable": np.full(size, output, dtype=object)}
            parts.append(pd.DataFrame({**names, **columns}))
        return pd.concat(parts, ignore_index=True)[["arm", "patient", "time_h", "variable", "value"]]


def simulate(
    study: Study,
    *,
    patients: int = 100,
    seed: int = 1,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    worlds: int | Worlds = 0,
    true_daily: bool = False,
    circadian: bool = False,
) -> StudyRun:
    """Run a study on virtual patients.

    Parameters
    ----------
    patients : int
        Patients enrolled; each runs through every arm.
    seed : int
        With the number of a patient it fixes everything random.
    worlds : int or Worlds
        Possible worlds that the patients are spread over; 0 takes the medians of the uncertain constants.
    true_daily : bool
        Give daily drugs dose by dose instead of as a mean input rate.
    circadian : bool
        Add the 24-hour rhythm of the stress axis after enrolment; time 0 is then about six in the morning.

    Raises
    ------
    PopulationError
        If the eligibility criteria leave too few patients.
    StudyError
        If an output is neither a scale, nor an analyte that the model predicts, nor a variable of the model.
    UsageError
        If ``patients`` is below 1.
    """
    if patients < 1:
        raise UsageError(f"patients = {patients}; expected 1 or more")

    def people(population: Population, model: Model, knowledge: Knowledge, engine: Engine) -> Enrolled:
        return enrol(study, population, model, knowledge, engine, patients, seed, worlds)

    return _simulated(study, people, seed, knowledge, engine, true_daily, circadian)


def simulate_candidates(
    study: Study,
    index: NDArray[np.intp],
    *,
    seed: int = 1,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    worlds: int | Worlds = 0,
    true_daily: bool = False,
    circadian: bool = False,
) -> StudyRun:
    """Run a study on all who are eligible of the candidates of some numbers; `simulate` takes the first of them.

    Parameters
    ----------
    index : array of int
        Numbers of candidates, increasing.
    """

    def people(population: Population, model: Model, knowledge: Knowledge, engine: Engine) -> Enrolled:
        return enrol_all(study, population, model, knowledge, engine, index, seed, worlds)

    return _simulated(study, people, seed, knowledge, engine, true_daily, circadian)


def _simulated(
    study: Study,
    people: Callable[[Population, Model, Knowledge, Engine], Enrolled],
    seed: int,
    knowledge: Knowledge | None,
    engine: Engine | None,
    true_daily: bool,
    circadian: bool,
) -> StudyRun:
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    model = study_model(study, knowledge)
    groups: dict[str, Enrolled] = {}
    for arm in study.arms:
        population = arm_population(study, arm)
        if population.diagnosis not in groups:
            groups[population.diagnosis] = people(population, model, knowledge, engine)
    if circadian:
        model = assemble(model.drugs, knowledge, circadian=True)
    return _run(study, model, groups, knowledge, engine, seed, true_daily)


def simulate_worlds(
    study: Study,
    worlds: Worlds,
    *,
    patients: int,
    seed: int,
    knowledge: Knowledge,
    engine: Engine,
    rtol: float = 1e-4,
    common: bool = False,
) -> StudyRun:
    """Run a study in each of some possible worlds.

    Parameters
    ----------
    patients : int
        Patients enrolled in each world.
    common : bool
        The same candidates in every world, so that differences between worlds are free of chance; each world has
        patients of its own by default.

    Returns
    -------
    StudyRun
        The patients of all worlds, in the order of worlds; `StudyRun.estimates_by_world` takes them apart.
    """
    model = study_model(study, knowledge)
    groups: dict[str, Enrolled] = {}
    for arm in study.arms:
        population = arm_population(study, arm)
        if population.diagnosis not in groups:
            groups[population.diagnosis] = enrol_everywhere(
                study, population, model, knowledge, engine, patients, seed, worlds, common=common
            )
    return _run(study, model, groups, knowledge, engine, seed, False, rtol)


def study_model(study: Study, knowledge: Knowledge) -> Model:
    """One model with the drugs of all arms, so that one is compiled."""
    given = (dose for arm in study.arms for dose in arm.all_doses)
    doses = (*study.population.background, *earlier_doses(study.population, knowledge), *given)
    return assemble(tuple(sorted({dose.drug for dose in doses})), knowledge)


def _run(
    study: Study,
    model: Model,
    groups: Mapping[str, Enrolled],
    knowledge: Knowledge,
    engine: Engine,
    seed: int,
    true_daily: bool,
    rtol: float = 1e-6,
) -> StudyRun:
    times = np.asarray(study.output_times_h, dtype=np.float64)
    courses: dict[tuple[str, str], Array] = {}
    enrolled: dict[str, Enrolled] = {}
    failures: dict[str, Mapping[int, Failure]] = {}
    for arm in study.arms:
        group = enrolled[arm.id] = groups[arm_population(study, arm).diagnosis]
        gone = _gone(study, arm, group.patients, times)
        seen = {output: np.full((len(group.patients), len(times)), np.nan) for output in study.outputs}
        failed: dict[int, Failure] = {}
        for treatment, rows in _treatments(arm, group.patients):
            people = group.patients if len(rows) == len(group.patients) else group.patients.take(rows)
            problem = arm_problem(study, treatment, model, knowledge, people, times, true_daily=true_daily)
            result = engine.simulate(problem, rtol=rtol)
            failed |= {int(rows[i]): failure for i, failure in result.failures.items()}
            recorded = None if group.recorded is None else (group.recorded[0], group.recorded[1][rows])
            for output in study.outputs:
                values = result[variable_of(output, model, knowledge)]
                seen[output][rows] = _record(output, values, recorded, study, people, model, knowledge)
        failures[arm.id] = failed
        for output, course in seen.items():
            courses[arm.id, output] = _after_leaving(course, gone, study.missing)
    return StudyRun(study, seed, times, courses, enrolled, failures, type(engine).__name__, knowledge)


def _treatments(arm: Arm, patients: Patients) -> Iterator[tuple[Arm, NDArray[np.intp]]]:
    """What an arm gives, and the rows of the patients who get it: all of them, or in a pooled arm some by its share."""
    if not arm.mixture:
        yield arm, np.arange(len(patients))
        return
    uniform = patient_uniforms(patients.seed, f"treatment:{arm.id}", patients.index)
    edges = np.cumsum([part.share for part in arm.mixture])
    which = np.searchsorted(edges[:-1], uniform, side="right")
    for number, part in enumerate(arm.mixture):
        rows = np.flatnonzero(which == number)
        if len(rows):
            yield replace(arm, doses=part.doses, mixture=()), rows


def _gone(study: Study, arm: Arm, patients: Patients, times: Array) -> NDArray[np.bool_] | None:
    """Which patients have left by each time, shape (n, n_times); the same chance for a person in every arm."""
    rate = study.population.dropout if arm.dropout is None else arm.dropout
    if not rate:
        return None
    uniform = patient_uniforms(patients.seed, "dropout", patients.index)
    leaves = study.duration_h * np.log1p(-uniform) / np.log1p(-rate)
    return np.asarray((times[None, :] > leaves[:, None]) & (times > 0), dtype=np.bool_)


def _after_leaving(course: Array, gone: NDArray[np.bool_] | None, missing: str) -> Array:
    if gone is None:
        return course
    if missing == "observed":
        return np.where(gone, np.nan, course)
    last = np.maximum.accumulate(np.where(gone, 0, np.arange(course.shape[1])), axis=1)
    return np.take_along_axis(course, last, axis=1)


def arm_problem(
    study: Study,
    arm: Arm,
    model: Model,
    knowledge: Knowledge,
    patients: Patients,
    times_h: Array,
    *,
    true_daily: bool = False,
) -> Problem:
    """The problem that one arm poses to the engine."""
    population = arm_population(study, arm)
    return treatment_problem(
        patients, arm.doses, model, knowledge, diagnosis=population.diagnosis, times_h=times_h,
        outputs=[variable_of(o, model, knowledge) for o in study.outputs], horizon_h=study.duration_h,
        background=population.background, true_daily=true_daily,
    )  # fmt: skip


def variable_of(output: str, model: Model, knowledge: Knowledge) -> str:
    """The model variable behind a scale, an analyte or a name of the model itself.

    Raises
    ------
    StudyError
        If there is none.
    """
    if output in knowledge.scales or output in model.states or output in model.variables:
        analyte = knowledge.analytes.get(output)
        return analyte.observable if analyte is not None and analyte.observable else output
    analyte = knowledge.analytes.get(output)
    if analyte is not None and analyte.observable:
        return analyte.observable
    raise StudyError(
        f"output '{output}': expected a scale ({', '.join(knowledge.scales)}), an analyte that the model predicts "
        f"or a variable of the model; `crosstalk analytes` lists them"
    )


def _record(
    output: str,
    values: Array,
    recorded: tuple[str, Array] | None,
    study: Study,
    patients: Patients,
    model: Model,
    knowledge: Knowledge,
) -> Array:
    """What would have been written down at each visit; the same chance for a patient in every arm.

    An analyte also varies within a person from week to week, except in a challenge that ends within the first week.
    """
    scale = knowledge.scales.get(output)
    if scale is not None:
        course = visit_scores(
            values, scale, seed=patients.seed, index=patients.index,
            times_h=np.asarray(study.output_times_h), covariates=patients.covariates,
        )  # fmt: skip
        if recorded is not None and recorded[0] == output:
            course[:, 0] = recorded[1]
        return np.where(np.isfinite(values), course, np.nan)
    analyte = knowledge.analytes.get(output)
    if analyte is not None and analyte.observable:
        noise = noise_table(patients.seed, f"assay:{output}", patients.index, values.shape[1])
        true = values * observable_factor(model, analyte)
        weeks = (np.asarray(study.output_times_h) // HOURS_PER_WEEK).astype(int)
        if len(weeks) == 1 or weeks[-1] > 0:
            drift = noise_table(patients.seed, f"week:{output}", patients.index, int(weeks[-1]) + 1)
            true = true * np.exp(within_log_sd(analyte) * drift[:, weeks])
        return record_analyte(true, analyte, noise, between_weeks=False)
    return values
