"""A study run on virtual patients: screening, enrolment, every arm, what would have been recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine, Event, Failure, Problem
from crosstalk.errors import PopulationError, StudyError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.model.assembly import Model, assemble
from crosstalk.population.latent import latent_space, patient_normals, patient_uniforms, quantile
from crosstalk.population.measure import noise_table, observable_factor, plausible_score, record_analyte, record_scale
from crosstalk.population.patients import Patients, baseline, draw_patients, drug_parameters, weight_kg
from crosstalk.study.endpoints import Estimate, estimate
from crosstalk.study.protocol import background as background_inputs
from crosstalk.study.protocol import protocol
from crosstalk.study.records import Arm, Eligibility, Result, Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StudyRun", "simulate"]

Array = NDArray[np.float64]

# covariate: what raters add to scores at enrolment, as a share of the scale
INFLATION = "baseline_inflation"
SCREENING_LIMIT = 400  # candidates screened per patient wanted


@dataclass(frozen=True)
class StudyRun:
    """Recorded courses of every arm of a study.

    The same virtual patients run through every arm, so differences between arms are free of chance imbalance.

    Attributes
    ----------
    times_h : array, shape (n_times,) [h]
    courses : mapping of (arm, output) to array, shape (n_patients, n_times)
        As recorded: scales with rater error and bounds, analytes with assay error, model variables as they are.
    baseline : mapping of str to array, shape (n_patients,)
        Analytes as measured at enrolment, by which patients are selected and stratified.
    screened : int
        Candidates screened for the patients enrolled.
    failures : mapping of str to mapping of int to Failure
        By arm and position of the patient.
    engine : str
        Kind of engine that ran it.
    """

    study: Study
    seed: int
    times_h: Array
    courses: Mapping[tuple[str, str], Array]
    patients: Patients
    baseline: Mapping[str, Array]
    screened: int
    failures: Mapping[str, Mapping[int, Failure]]
    engine: str = ""

    def stratum(self, limits: Eligibility) -> NDArray[np.bool_]:
        """Which patients fall into a stratum by what was measured at enrolment, shape (n_patients,)."""
        return _within(self.baseline[limits.analyte], limits)

    def estimate(self, result: Result, knowledge: Knowledge) -> Estimate:
        """The simulated counterpart of one published result."""
        mask = None
        if result.stratum is not None:
            chosen = self.stratum(result.stratum)
            mask = {arm.id: chosen for arm in self.study.arms}
        scale = knowledge.scales.get(result.of)
        return estimate(result, self.courses, self.times_h, scale=scale, stratum=mask)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table with columns arm, patient, time_h, variable, value."""
        import pandas as pd

        parts = []
        n, n_times = len(self.patients), len(self.times_h)
        for (arm, output), values in self.courses.items():
            parts.append(
                pd.DataFrame(
                    {
                        "arm": np.full(n * n_times, arm, dtype=object),
                        "patient": np.repeat(self.patients.index, n_times),
                        "time_h": np.tile(self.times_h, n),
                        "variable": np.full(n * n_times, output, dtype=object),
                        "value": values.ravel(),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)


def simulate(
    study: Study,
    *,
    patients: int = 100,
    seed: int = 1,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    worlds: int = 0,
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
    worlds : int
        Draws of the uncertain population parameters that the patients are spread over; 0 takes the central values.
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
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    times = np.asarray(study.output_times_h, dtype=np.float64)
    # one model with the drugs of all arms, so that one is compiled
    doses = (*study.population.background, *(dose for arm in study.arms for dose in arm.doses))
    model = assemble(tuple(sorted({dose.drug for dose in doses})), knowledge)
    enrolled, measured, recorded, screened = _enrol(study, model, knowledge, engine, patients, seed, worlds)
    if circadian:
        model = assemble(model.drugs, knowledge, circadian=True)
    courses: dict[tuple[str, str], Array] = {}
    failures: dict[str, Mapping[int, Failure]] = {}
    for arm in study.arms:
        run = _Arm(study, arm, model, knowledge, enrolled, times, true_daily)
        result = engine.simulate(run.problem)
        failures[arm.id] = result.failures
        for output, variable in zip(study.outputs, run.variables, strict=True):
            courses[arm.id, output] = _record(run, output, result[variable], recorded)
    return StudyRun(study, seed, times, courses, enrolled, measured, screened, failures, type(engine).__name__)


class _Arm:
    """The problem that one arm poses to the engine."""

    def __init__(
        self,
        study: Study,
        arm: Arm,
        model: Model,
        knowledge: Knowledge,
        patients: Patients,
        times: Array,
        true_daily: bool,
    ) -> None:
        self.model, self.knowledge, self.patients = model, knowledge, patients
        height = patients.covariates.get("height_cm")
        weight, stable = weight_kg(patients), study.population.background
        plan = protocol(
            arm.doses, knowledge, weight_kg=weight, height_cm=height, background=stable,
            true_daily=true_daily, horizon_h=study.duration_h,
        )  # fmt: skip
        self.variables = tuple(variable_of(o, self.model, knowledge) for o in study.outputs)
        diagnosis = knowledge.diagnosis(study.population.diagnosis)
        enrolment = tuple(Event(0.0, name, value, "set") for name, value in diagnosis.enrolment.items())
        inputs = background_inputs(stable, knowledge, weight_kg=weight, height_cm=height)
        self.problem = Problem(
            self.model.sbml,
            len(patients),
            {**patients.parameters, **drug_parameters(knowledge, model.drugs, patients), **inputs},
            times,
            tuple(dict.fromkeys(self.variables)),
            patients.states,
            enrolment + plan.events,
            self.model.states,
        )


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


def _record(run: _Arm, output: str, values: Array, recorded: tuple[str, Array] | None) -> Array:
    """What would have been written down at each visit; the same chance for a patient in every arm."""
    patients, knowledge = run.patients, run.knowledge
    scale = knowledge.scales.get(output)
    if scale is not None:
        noise = noise_table(patients.seed, f"visit:{output}", patients.index, values.shape[1])
        course = record_scale(values, scale, noise)
        if recorded is not None and recorded[0] == output:
            course[:, 0] = recorded[1]
        return np.where(np.isfinite(values), course, np.nan)
    analyte = knowledge.analytes.get(output)
    if analyte is not None and analyte.observable:
        noise = noise_table(patients.seed, f"assay:{output}", patients.index, values.shape[1])
        factor = observable_factor(run.model, analyte)
        return record_analyte(values * factor, analyte, noise, between_weeks=False)
    return values


def _enrol(
    study: Study, model: Model, knowledge: Knowledge, engine: Engine, wanted: int, seed: int, worlds: int
) -> tuple[Patients, dict[str, Array], tuple[str, Array] | None, int]:
    """Screen candidates in the order of their numbers until enough are eligible."""
    population = study.population
    diagnosis = knowledge.diagnosis(population.diagnosis)
    latent = latent_space(diagnosis, population.distributions)
    analytes = _analytes(study, knowledge)
    scale = _severity_scale(study, knowledge)
    found: list[tuple[Patients, dict[str, Array], Array]] = []
    enrolled = screened = 0
    lost = dict.fromkeys((e.analyte for e in population.eligible), 0)
    reason = ""
    while enrolled < wanted:
        if screened >= SCREENING_LIMIT * max(wanted, 5):
            worst = max(lost, key=lambda k: lost[k]) if lost else "none"
            raise PopulationError(
                f"study '{study.id}': {enrolled} of {wanted} patients enrolled after {screened} candidates; the limits "
                f"of '{worst}' removed {lost.get(worst, 0)} of them{reason}; widen the eligibility criteria"
            )
        index = np.arange(screened, screened + max(64, wanted))
        screened += len(index)
        candidates = draw_patients(knowledge, latent, index, seed=seed, worlds=worlds)
        candidates, score = _settle(candidates, study, scale, model, knowledge, engine, analytes)
        measured = {a: _measure(a, candidates, scale, score, model, knowledge) for a in analytes}
        keep = candidates.ok
        if candidates.failures and not keep.any():
            reason = f"; baselines failed: {next(iter(candidates.failures.values()))}"
        for limits in population.eligible:
            passes = _within(measured[limits.analyte], limits)
            lost[limits.analyte] += int((keep & ~passes).sum())
            keep &= passes
        chosen = np.flatnonzero(keep)[: wanted - enrolled]
        if len(chosen) == wanted - enrolled:
            screened = int(index[chosen[-1]]) + 1
        enrolled += len(chosen)
        found.append((candidates.take(chosen), {a: v[chosen] for a, v in measured.items()}, score[chosen]))
    patients = _join([p for p, _, _ in found])
    baseline_values = {a: np.concatenate([m[a] for _, m, _ in found]) for a in analytes}
    recorded = (scale.id, np.concatenate([s for _, _, s in found])) if scale is not None else None
    return patients, baseline_values, recorded, screened


def _analytes(study: Study, knowledge: Knowledge) -> tuple[str, ...]:
    """Analytes by which the study selects or stratifies."""
    names = [e.analyte for e in study.population.eligible]
    names += [r.stratum.analyte for r in study.results if r.stratum is not None]
    return tuple(dict.fromkeys(names))


def _severity_scale(study: Study, knowledge: Knowledge) -> Scale | None:
    diagnosis = knowledge.diagnosis(study.population.diagnosis)
    if study.population.severity is not None:
        return knowledge.scales[study.population.severity_scale]
    return knowledge.scales[diagnosis.scale] if diagnosis.severity is not None else None


def _settle(
    candidates: Patients,
    study: Study,
    scale: Scale | None,
    model: Model,
    knowledge: Knowledge,
    engine: Engine,
    analytes: Sequence[str],
) -> tuple[Patients, Array]:
    """Baseline of the candidates under their background treatment, and their recorded score."""
    population = study.population
    weight = weight_kg(candidates)
    height = candidates.covariates.get("height_cm")
    inputs = background_inputs(population.background, knowledge, weight_kg=weight, height_cm=height)
    recorded: Array = np.zeros(len(candidates))
    score = None
    if scale is not None:
        severity = population.severity or knowledge.diagnosis(population.diagnosis).severity
        assert severity is not None
        uniform = patient_uniforms(candidates.seed, "severity", candidates.index)
        drawn = np.clip(quantile(severity, uniform), 0.0, scale.maximum)
        recorded = np.asarray(np.round(drawn), dtype=np.float64)
        score = (scale.id, true_score(recorded, scale, candidates))
    outputs = [knowledge.analytes[a].observable for a in analytes if knowledge.analytes[a].observable]
    settled = baseline(
        candidates, knowledge, engine, outputs=outputs, background=inputs, background_drugs=model.drugs, score=score
    )
    return settled, recorded


def true_score(recorded: Array, scale: Scale, patients: Patients) -> Array:
    """The score behind a recorded baseline: without the rater's error and the inflation at enrolment, shape (n,)."""
    noise = patient_normals(patients.seed, "rater-at-baseline", patients.index) * scale.rater_sd
    inflation = patients.covariates.get(INFLATION, np.zeros(len(patients)))
    return plausible_score(recorded - noise - inflation * scale.maximum, recorded, scale)


def _measure(
    name: str, patients: Patients, scale: Scale | None, score: Array, model: Model, knowledge: Knowledge
) -> Array:
    """What screening would measure."""
    analyte = knowledge.analytes[name]
    if scale is not None and name == scale.id:
        return score
    if analyte.covariate:
        table = {**patients.parameters, **patients.covariates}
        if analyte.covariate in table:
            return table[analyte.covariate]
    if not analyte.observable:
        raise StudyError(
            f"analyte '{name}' cannot select or stratify patients: the model does not predict it; "
            f"choose one with an observable (`crosstalk analytes`)"
        )
    noise = patient_normals(patients.seed, f"screening:{name}", patients.index)
    factor = observable_factor(model, analyte)
    return record_analyte(patients.outputs[analyte.observable] * factor, analyte, noise, between_weeks=True)


def _within(values: Array, limits: Eligibility) -> NDArray[np.bool_]:
    mask = np.isfinite(values)
    if limits.min is not None:
        mask &= values >= limits.min
    if limits.max is not None:
        mask &= values < limits.max
    return mask


def _join(parts: Sequence[Patients]) -> Patients:
    first = parts[0]
    if len(parts) == 1:
        return first

    def glue(field: str) -> dict[str, Array]:
        return {k: np.concatenate([getattr(p, field)[k] for p in parts]) for k in getattr(first, field)}

    return replace(
        first,
        index=np.concatenate([p.index for p in parts]),
        coordinates=np.concatenate([p.coordinates for p in parts]),
        world=np.concatenate([p.world for p in parts]),
        parameters=glue("parameters"),
        covariates=glue("covariates"),
        states=glue("states"),
        outputs=glue("outputs"),
        failures={},
    )
