"""Summary of a simulated study: quantiles by arm, published against simulated results."""

from __future__ import annotations

import numpy as np

from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.calibrated import knowledge_state
from crosstalk.population.run import StudyRun
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.report.documents import Quantiles, SimulatedArm, SimulatedResult, Simulation
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Eligibility
from crosstalk.twin.records import Provenance

__all__ = ["summarise"]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def summarise(run: StudyRun, knowledge: Knowledge) -> Simulation:
    """Summarise a run for the report and the JSON."""
    study = run.study
    arms = []
    for arm in study.arms:
        failed = len(run.failures[arm.id])
        rows = []
        for output in study.outputs:
            values = run.courses[arm.id, output]
            for j, time in enumerate(run.times_h):
                column = values[:, j][np.isfinite(values[:, j])]
                if len(column):
                    rows.append(
                        Quantiles(
                            output,
                            float(time),
                            len(column),
                            float(column.mean()),
                            *map(float, np.quantile(column, LEVELS)),
                        )
                    )
        arms.append(SimulatedArm(arm.id, len(run.patients), failed, run.screened, tuple(rows)))
    results = []
    for result in study.results:
        found = run.estimate(result, knowledge)
        results.append(
            SimulatedResult(
                result.endpoint, result.of, result.arm, result.versus,
                None if result.time_h is None else result.time_h / HOURS_PER_WEEK,
                _stratum(result.stratum), result.unit, result.value, result.se, found.value, found.se,
            )
        )  # fmt: skip
    calibrated, worlds = knowledge_state(knowledge)
    provenance = Provenance(
        package_version(), assemble((), knowledge).sha256, knowledge.sha256, hash_bytes(repr(study)), run.engine,
        calibrated, len(run.patients), len(run.patients), len(np.unique(run.patients.world)), worlds,
    )  # fmt: skip
    return Simulation(
        study.id, study.title, study.role, run.seed, len(run.patients), tuple(arms), tuple(results), provenance
    )


def _stratum(limits: Eligibility | None) -> str:
    if limits is None:
        return ""
    low = "" if limits.min is None else f"{limits.min:g} <= "
    high = "" if limits.max is None else f" < {limits.max:g}"
    return f"{low}{limits.analyte}{high} {limits.unit}"
