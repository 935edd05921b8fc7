"""The people whom a trial could recruit: virtual patients with their true course under each treatment, in each world.

A pool is made once. Each replicate of a trial then draws its candidates from it, with replacement, and adds what
happens by chance: who is recruited, what is measured, who leaves. The pool is thus the whole of those who could be
recruited, and since every treatment of a person is known, so is the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import PopulationError, TrialError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.enrolment import INFLATION, enrol_everywhere
from crosstalk.population.measure import FLUCTUATION, observable_factor
from crosstalk.population.run import arm_problem, study_model, variable_of
from crosstalk.population.worlds import Worlds
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Study
from crosstalk.trial.plan import design_of, observed_analytes, throughout, treatments

__all__ = ["Pool", "make_pool"]

Array = NDArray[np.float64]

RTOL = 1e-4


@dataclass(frozen=True)
class Pool:
    """Possible participants, in the order of worlds.

    Attributes
    ----------
    start : array of int, shape (n_worlds + 1,)
        Where each world begins.
    times_h : array, shape (n_times,) [h]
        Grid of the true courses, from enrolment.
    courses : mapping of (treatment, scale) to array, shape (n, n_times) [points]
        True scores under every arm; for a crossover under both sequences and under the control throughout.
    recorded : array, shape (n,) [points]
        Score as recorded at enrolment, on the scale ``recorded_scale``.
    levels : mapping of str to array, shape (n,)
        True level of each analyte that selects, stratifies or explains; covariates as they are.
    fluctuation, inflation : array, shape (n,)
        As shares of the scale.
    failed : int
        Participants left out since a course could not be computed.
    """

    start: NDArray[np.intp]
    times_h: Array
    courses: Mapping[tuple[str, str], Array]
    recorded: Array
    recorded_scale: str
    levels: Mapping[str, Array]
    fluctuation: Array
    inflation: Array
    failed: int = 0

    @property
    def n_worlds(self) -> int:
        """Number of possible worlds."""
        return len(self.start) - 1

    def rows(self, world: int) -> slice:
        """Participants of one world."""
        return slice(int(self.start[world]), int(self.start[world + 1]))

    def only(self, worlds: NDArray[np.intp]) -> Pool:
        """Some of the worlds, in a new numbering."""
        rows = np.concatenate([np.arange(self.start[w], self.start[w + 1]) for w in worlds])
        sizes = np.diff(self.start)[worlds]
        return Pool(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp), self.times_h,
            {k: v[rows] for k, v in self.courses.items()}, self.recorded[rows], self.recorded_scale,
            {k: v[rows] for k, v in self.levels.items()}, self.fluctuation[rows], self.inflation[rows], self.failed,
        )  # fmt: skip


def make_pool(
    study: Study,
    worlds: Worlds,
    *,
    patients: int,
    seed: int,
    knowledge: Knowledge,
    engine: Engine,
) -> Pool:
    """Simulate possible participants of a trial.

    Limits on laboratory values are not applied here, since every replicate measures them anew.

    Parameters
    ----------
    patients : int
        Participants in each world.

    Raises
    ------
    TrialError
        If the study has no design, or measures at screening what the model does not predict.
    PopulationError
        If the criteria leave nobody.
    """
    design = design_of(study)
    kept = tuple(e for e in study.population.eligible if knowledge.analytes[e.analyte].kind != "laboratory")
    population = replace(study.population, eligible=kept)
    model = study_model(study, knowledge)
    observe = observed_analytes(study, knowledge)
    enrolled = enrol_everywhere(study, population, model, knowledge, engine, patients, seed, worlds, observe)
    people = enrolled.patients
    if enrolled.recorded is None:
        raise TrialError(f"study '{study.id}': no participant has a baseline score; add population.severity")
    if not len(people):
        raise PopulationError(
            f"study '{study.id}': nobody can be enrolled; {enrolled.without_baseline or 'nobody is eligible'}; "
            f"widen the criteria of the population"
        )
    lead = 0.0 if design.lead_in is None else design.lead_in.duration_h
    visits = np.asarray(study.output_times_h) + lead
    grid = np.unique(np.round([*np.arange(0, visits[-1] + 1, HOURS_PER_WEEK), *visits, lead], 6))
    scales = tuple(dict.fromkeys([enrolled.recorded[0], *(a.of for a in design.analyses)]))
    timed = replace(
        study, population=population, duration_h=float(grid[-1]), output_times_h=tuple(grid), outputs=scales
    )
    courses: dict[tuple[str, str], Array] = {}
    ok = people.ok.copy()
    for arm in (*treatments(study, design), *throughout(study, design)):
        result = engine.simulate(arm_problem(timed, arm, model, knowledge, people, grid), rtol=RTOL)
        for scale in scales:
            courses[arm.id, scale] = result[variable_of(scale, model, knowledge)]
            ok &= np.isfinite(courses[arm.id, scale]).all(axis=1)
    keep = np.flatnonzero(ok)
    counts = np.bincount(people.world[keep], minlength=worlds.n)
    table = {**people.parameters, **people.covariates}
    levels: dict[str, Array] = {}
    for name in observe:
        analyte = knowledge.analytes[name]
        if analyte.covariate in table:
            levels[name] = table[analyte.covariate][keep]
        elif analyte.observable:
            levels[name] = (people.outputs[analyte.observable] * observable_factor(model, analyte))[keep]
        else:
            raise TrialError(
                f"study '{study.id}': '{name}' cannot be measured at screening; the model has no such value"
            )
    none = np.zeros(len(people))
    return Pool(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
        grid,
        {key: course[keep] for key, course in courses.items()},
        enrolled.recorded[1][keep],
        enrolled.recorded[0],
        levels,
        people.covariates.get(FLUCTUATION, none)[keep],
        people.covariates.get(INFLATION, none)[keep],
        len(people) - len(keep),
    )
