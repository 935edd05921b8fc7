"""Who enters a study: candidates in the order of their numbers, what screening measures, eligibility."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import PopulationError, StudyError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.model.assembly import Model
from crosstalk.population.latent import Latent, latent_space, patient_normals, patient_uniforms, quantile
from crosstalk.population.measure import observable_factor, plausible_score, record_analyte
from crosstalk.population.patients import Patients, baseline, draw_patients, weight_kg
from crosstalk.population.resistance import eased, still_ill
from crosstalk.population.worlds import Worlds
from crosstalk.study.protocol import background as background_inputs
from crosstalk.study.records import Arm, Eligibility, Population, Study

__all__ = ["Enrolled", "arm_population", "enrol", "enrol_all", "enrol_everywhere", "true_score", "within"]

Array = NDArray[np.float64]

# covariate: what raters add to scores at enrolment, as a share of the scale
INFLATION = "baseline_inflation"
SCREENING_LIMIT = 400  # candidates screened per patient wanted
FIRST = 1000  # candidates after which it is told that no baseline can be found
# candidates after which it is told that nobody is eligible; were one in `SCREENING_LIMIT`, this many would hold none
# with a probability of exp(-10)
NOBODY = 10 * SCREENING_LIMIT
NONE = np.array([], dtype=np.intp)
ROUNDS = 12  # of screening in each of many worlds, for a study that few are eligible for


@dataclass(frozen=True)
class Enrolled:
    """The people of some arms of a study.

    Attributes
    ----------
    patients : Patients
    baseline : mapping of str to array, shape (n_patients,)
        Analytes as measured at enrolment, by which patients are selected and stratified.
    recorded : (str, array of shape (n_patients,)) or None
        Scale and recorded score at enrolment.
    screened : int
        Candidates screened, per world.
    without_baseline : str
        How many candidates have no baseline, and why; empty where each has one.
    """

    patients: Patients
    baseline: Mapping[str, Array]
    recorded: tuple[str, Array] | None
    screened: int
    without_baseline: str = ""


def arm_population(study: Study, arm: Arm) -> Population:
    """The population that an arm is drawn from.

    Where it is another than the study's, only age and sex are matched; the rest is that of the other population.
    """
    if not arm.diagnosis or arm.diagnosis == study.population.diagnosis:
        return study.population
    matched = {k: v for k, v in study.population.distributions.items() if k in ("age", "female")}
    return Population(arm.diagnosis, matched, None, "")


class _Screening:
    """Screening for one population of a study."""

    def __init__(
        self,
        study: Study,
        population: Population,
        model: Model,
        knowledge: Knowledge,
        engine: Engine,
        seed: int,
        observe: Sequence[str] = (),
    ) -> None:
        self.study, self.population, self.model = study, population, model
        self.knowledge, self.engine, self.seed = knowledge, engine, seed
        self.diagnosis = knowledge.diagnosis(population.diagnosis)
        self.latent: Latent = latent_space(self.diagnosis, population.distributions)
        self.scale = _severity_scale(population, knowledge)
        self.analytes = self._analytes(observe)
        self.lost = dict.fromkeys((e.analyte for e in population.eligible), 0)
        self.seen = self.failed = 0
        self.reasons: Counter[str] = Counter()

    def _analytes(self, observe: Sequence[str]) -> tuple[str, ...]:
        """Analytes by which the study selects or stratifies, and those asked for besides."""
        names = [e.analyte for e in self.population.eligible] + list(observe)
        names += [analyte for result in self.study.results for analyte in result.measured]
        return tuple(dict.fromkeys(names))

    def screen(
        self, index: NDArray[np.intp], worlds: int | Worlds, world: NDArray[np.intp] | None = None
    ) -> tuple[Patients, dict[str, Array], Array, NDArray[np.bool_]]:
        """Candidates with baseline, what was measured, their recorded score, and who is eligible.

        The first ones are screened by themselves; where none of them has a baseline, no more are.
        """
        if not self.seen and len(index) > FIRST:
            parts = [self._screen(index[:FIRST], worlds, None if world is None else world[:FIRST])]
            if not self.hopeless:
                parts.append(self._screen(index[FIRST:], worlds, None if world is None else world[FIRST:]))
            people, measured, scores, keep = zip(*parts, strict=True)
            together = {a: np.concatenate([m[a] for m in measured]) for a in self.analytes}
            return _join(people), together, np.concatenate(scores), np.concatenate(keep)
        return self._screen(index, worlds, world)

    def _screen(
        self, index: NDArray[np.intp], worlds: int | Worlds, world: NDArray[np.intp] | None
    ) -> tuple[Patients, dict[str, Array], Array, NDArray[np.bool_]]:
        candidates = draw_patients(self.knowledge, self.latent, index, seed=self.seed, worlds=worlds, world=world)
        candidates, score = self._settle(candidates)
        measured = {a: self._measure(a, candidates, score) for a in self.analytes}
        keep = candidates.ok
        self.seen += len(keep)
        self.failed += int((~keep).sum())
        self.reasons.update(f.status.value for f in candidates.failures.values())
        for limits in self.population.eligible:
            passes = within(measured[limits.analyte], limits)
            self.lost[limits.analyte] += int((keep & ~passes).sum())
            keep &= passes
        if self.population.failed_steps and self.scale is not None:
            keep = self._failed(candidates, score, keep)
            candidates = eased(candidates, self.population.failed_steps, self.knowledge)
        return candidates, measured, score, keep

    @property
    def hopeless(self) -> bool:
        """Whether so many candidates have no baseline, and none has one, that more would have none either."""
        return self.seen >= FIRST and self.failed == self.seen

    def refuse_hopeless(self) -> None:
        """Fail where no candidate will ever have a baseline, with the reason."""
        if self.hopeless:
            raise PopulationError(
                f"study '{self.study.id}': {self.without_baseline}; correct severity, age, BMI or background of the "
                f"population"
            )

    @property
    def without_baseline(self) -> str:
        """How many candidates have no baseline, and why."""
        if not self.failed:
            return ""
        why = ", ".join(f"{n}: {reason}" for reason, n in self.reasons.most_common(2)) or "no reason is known"
        return f"{self.failed} of {self.seen} candidates have no baseline ({why})"

    def _settle(self, candidates: Patients) -> tuple[Patients, Array]:
        """Baseline of the candidates under their background treatment, and their recorded score."""
        population, knowledge, scale = self.population, self.knowledge, self.scale
        recorded: Array = np.zeros(len(candidates))
        score = None
        if scale is not None:
            severity = population.severity or self.diagnosis.severity
            assert severity is not None
            uniform = patient_uniforms(candidates.seed, "severity", candidates.index)
            drawn = np.clip(quantile(severity, uniform), 0.0, scale.maximum)
            recorded = np.asarray(np.round(drawn), dtype=np.float64)
            score = (scale.id, true_score(recorded, scale, candidates))
        outputs = [o for a in self.analytes if (o := knowledge.analytes[a].observable)]
        settled = baseline(
            candidates, knowledge, self.engine, outputs=outputs, background=self._inputs(candidates),
            background_drugs=self.model.drugs, score=score, strict=False,
        )  # fmt: skip
        return settled, recorded

    def _failed(self, candidates: Patients, recorded: Array, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of the eligible who did not respond to earlier treatment."""
        assert self.scale is not None
        rows = np.flatnonzero(keep)
        people = candidates.take(rows)
        ill = still_ill(people, recorded[rows], self.population, self.scale, self.model, self.knowledge, self.engine)
        self.lost.setdefault("failed_steps", 0)
        self.lost["failed_steps"] += int((~ill).sum())
        keep = keep.copy()
        keep[rows] = ill
        return keep

    def _inputs(self, people: Patients) -> dict[str, Array]:
        """Input rates of the background treatment."""
        height = people.covariates.get("height_cm")
        return background_inputs(
            self.population.background, self.knowledge, weight_kg=weight_kg(people), height_cm=height
        )

    def _measure(self, name: str, patients: Patients, score: Array) -> Array:
        """What screening would measure."""
        analyte = self.knowledge.analytes[name]
        if self.scale is not None and name == self.scale.id:
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
        factor = observable_factor(self.model, analyte)
        return record_analyte(patients.outputs[analyte.observable] * factor, analyte, noise, between_weeks=True)

    def joined(self, found: Sequence[tuple[Patients, dict[str, Array], Array]], screened: int) -> Enrolled:
        values = {a: np.concatenate([m[a] for _, m, _ in found]) for a in self.analytes}
        scores = np.concatenate([s for _, _, s in found])
        recorded = (self.scale.id, scores) if self.scale is not None else None
        return Enrolled(_join([p for p, _, _ in found]), values, recorded, screened, self.without_baseline)


def enrol(
    study: Study,
    population: Population,
    model: Model,
    knowledge: Knowledge,
    engine: Engine,
    wanted: int,
    seed: int,
    worlds: int | Worlds,
) -> Enrolled:
    """Screen candidates in the order of their numbers until enough are eligible; patients are dealt to the worlds.

    Raises
    ------
    PopulationError
        If the criteria leave too few.
    """
    screening = _Screening(study, population, model, knowledge, engine, seed)
    found: list[tuple[Patients, dict[str, Array], Array]] = []
    enrolled = screened = 0
    while enrolled < wanted:
        if screened >= (
            SCREENING_LIMIT * max(wanted, 5) if enrolled else min(NOBODY, SCREENING_LIMIT * max(wanted, 5))
        ):
            lost = screening.lost
            worst = max(lost, key=lambda k: lost[k]) if lost else "none"
            raise PopulationError(
                f"study '{study.id}': {enrolled} of {wanted} patients enrolled after {screened} candidates; the limits "
                f"of '{worst}' removed {lost.get(worst, 0)} of them{'; ' if screening.failed else ''}"
                f"{screening.without_baseline}; widen the eligibility criteria"
            )
        index = np.arange(screened, screened + max(64, wanted))
        screened += len(index)
        candidates, measured, score, keep = screening.screen(index, worlds)
        screening.refuse_hopeless()
        chosen = np.flatnonzero(keep)[: wanted - enrolled]
        if len(chosen) == wanted - enrolled:
            screened = int(index[chosen[-1]]) + 1
        enrolled += len(chosen)
        found.append((candidates.take(chosen), {a: v[chosen] for a, v in measured.items()}, score[chosen]))
    return screening.joined(found, screened)


def enrol_all(
    study: Study,
    population: Population,
    model: Model,
    knowledge: Knowledge,
    engine: Engine,
    index: NDArray[np.intp],
    seed: int,
    worlds: int | Worlds,
) -> Enrolled:
    """Screen the candidates of some numbers, and take all who are eligible; `enrol` takes the first of them.

    Raises
    ------
    PopulationError
        If none of many candidates has a baseline.
    """
    screening = _Screening(study, population, model, knowledge, engine, seed)
    candidates, measured, score, keep = screening.screen(index, worlds)
    screening.refuse_hopeless()
    chosen = np.flatnonzero(keep)
    found = [(candidates.take(chosen), {a: v[chosen] for a, v in measured.items()}, score[chosen])]
    return screening.joined(found, len(index))


def enrol_everywhere(
    study: Study,
    population: Population,
    model: Model,
    knowledge: Knowledge,
    engine: Engine,
    wanted: int,
    seed: int,
    worlds: Worlds,
    observe: Sequence[str] = (),
    *,
    common: bool = False,
) -> Enrolled:
    """Enrol as many patients in every world, in the order of world and number.

    ``observe`` names analytes to measure at screening besides those that select or stratify.

    As in `enrol`, patient ``i`` lives in world ``i % n``, so that chance does not strike all worlds alike; with
    ``common`` the same candidates are screened in every world, so that it does. A world in which too few are eligible
    has fewer patients, or none.
    """
    screening = _Screening(study, population, model, knowledge, engine, seed, observe)
    found: list[tuple[Patients, dict[str, Array], Array]] = []
    have = np.zeros(worlds.n, dtype=np.intp)
    screened, block = 0, wanted
    for _ in range(ROUNDS):
        open_ = np.flatnonzero(have < wanted)
        if not len(open_):
            break
        numbers = np.arange(screened, screened + block)
        screened += block
        world = np.tile(open_, len(numbers))
        candidates, measured, score, keep = screening.screen(
            np.repeat(numbers, len(open_)) * (1 if common else worlds.n) + (0 if common else world), worlds, world
        )
        if screening.hopeless:
            found.append((candidates.take(NONE), {a: v[NONE] for a, v in measured.items()}, score[:0]))
            break
        keep_by_world = keep.reshape(len(numbers), len(open_))
        place = np.cumsum(keep_by_world, axis=0) <= (wanted - have[open_])
        chosen = np.flatnonzero((keep_by_world & place).ravel())
        have[open_] += (keep_by_world & place).sum(axis=0)
        found.append((candidates.take(chosen), {a: v[chosen] for a, v in measured.items()}, score[chosen]))
        # as many as it would take at the pace so far
        pace = max(keep_by_world.mean(), 0.05)
        block = int(np.clip((wanted - have.min()) / pace, 8, 4 * wanted))
    joined = screening.joined(found, screened)
    order = np.lexsort((joined.patients.index, joined.patients.world))
    return Enrolled(
        joined.patients.take(order),
        {a: v[order] for a, v in joined.baseline.items()},
        None if joined.recorded is None else (joined.recorded[0], joined.recorded[1][order]),
        screened,
        joined.without_baseline,
    )


def _severity_scale(population: Population, knowledge: Knowledge) -> Scale | None:
    diagnosis = knowledge.diagnosis(population.diagnosis)
    if population.severity is not None:
        return knowledge.scales[population.severity_scale]
    return knowledge.scales[diagnosis.scale] if diagnosis.severity is not None else None


def true_score(recorded: Array, scale: Scale, patients: Patients) -> Array:
    """The score behind a recorded baseline: without the rater's error and the inflation at enrolment, shape (n,)."""
    noise = patient_normals(patients.seed, "rater-at-baseline", patients.index) * scale.rater_sd
    inflation = patients.covariates.get(INFLATION, np.zeros(len(patients)))
    return plausible_score(recorded - noise - inflation * scale.span, recorded, scale)


def within(values: Array, limits: Eligibility) -> NDArray[np.bool_]:
    """Which values lie in ``min <= value < max``; those that are not finite do not."""
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
