"""A simulated study: quantiles by arm, published against simulated results, and both as lines and tables."""

from __future__ import annotations

import numpy as np

from crosstalk.evidence.listing import time_text
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.calibrated import knowledge_state
from crosstalk.population.run import StudyRun
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.report.catalogue import Table
from crosstalk.report.documents import Quantiles, SimulatedArm, SimulatedResult, Simulation
from crosstalk.report.words import number
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Eligibility
from crosstalk.twin.records import Provenance

__all__ = ["Z95", "observed_points", "simulation_lines", "simulation_tables", "summarise"]

Z95 = 1.959963984540054
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
    units = {o: u for o in study.outputs if (u := _unit(o, knowledge))}
    return Simulation(
        study.id, study.title, study.role, run.seed, len(run.patients), tuple(arms), tuple(results), provenance, units
    )


def _unit(variable: str, knowledge: Knowledge) -> str:
    if variable in knowledge.scales:
        return "points"
    analyte = knowledge.analytes.get(variable)
    return "" if analyte is None or analyte.unit in ("dimensionless", "1") else analyte.unit


def simulation_lines(simulation: Simulation) -> tuple[str, ...]:
    """The first screen: who was simulated, and how published results compare."""
    arms = len(simulation.arms)
    lines = [
        f"{simulation.title}: {simulation.patients} virtual patients"
        f"{f', the same in each of {arms} arms' if arms > 1 else ''}."
    ]
    judged = [z for r in simulation.results if (z := _distance(r)) is not None]
    if judged:
        inside = sum(z <= Z95 for z in judged)
        lines.append(
            f"Of {len(judged)} published results with a simulated counterpart, {inside} "
            f"{'agrees' if inside == 1 else 'agree'} with it within the 95 % interval of their difference (sampling "
            f"errors of both; what the model leaves open has no part in it)."
        )
    else:
        lines.append("No published result has a simulated counterpart.")
    failed = sum(arm.failed for arm in simulation.arms)
    if failed:
        lines.append(f"{failed} courses could not be computed and are left out.")
    return tuple(lines)


def _distance(result: SimulatedResult) -> float | None:
    """Of published and simulated result in standard errors of their difference; none where one is missing."""
    if result.published is None or result.simulated is None or not np.isfinite(result.simulated):
        return None
    error = float(np.hypot(result.published_se or 0.0, result.simulated_se or 0.0))
    return abs(result.published - result.simulated) / error if result.published_se and error > 0 else None


def simulation_tables(simulation: Simulation) -> tuple[Table, ...]:
    """Medians by arm, and published results beside simulated ones."""
    rows = []
    for arm in simulation.arms:
        for variable in dict.fromkeys(q.variable for q in arm.quantiles):
            course = [q for q in arm.quantiles if q.variable == variable]
            first, last, peak = course[0], course[-1], max(course, key=lambda q: q.p50)
            unit = simulation.units.get(variable, "")
            rows.append(
                (
                    arm.arm, f"{variable} [{unit}]" if unit else variable,
                    f"{arm.patients - arm.failed} of {arm.screened} screened", number(first.p50),
                    f"{number(peak.p50)} at {time_text(peak.time_h)}",
                    f"{number(last.p50)} at {time_text(last.time_h)}",
                )
            )  # fmt: skip
    results = tuple(
        (
            f"{r.endpoint} of {r.of}" + (f", {r.stratum}" if r.stratum else ""),
            r.arm + (f" against {r.versus}" if r.versus else ""),
            "" if r.week is None else time_text(r.week * HOURS_PER_WEEK),
            "" if r.published is None else f"{number(r.published)} ({number(r.published_se)}) {r.unit}",
            "none" if r.simulated is None else f"{number(r.simulated)} ({number(r.simulated_se)})",
        )
        for r in simulation.results
    )
    return (
        Table(
            "Published and simulated results", ("result", "arm", "when", "published (SE)", "simulated (SE)"), results
        ),
        Table("Medians by arm", ("arm", "variable", "patients", "at start", "highest", "at end"), tuple(rows)),
    )


def observed_points(simulation: Simulation, variable: str) -> tuple[tuple[str, float, float, float], ...]:
    """Published values that have a place over the simulated course: arm, time [h], value and its standard error.

    Levels of one arm as they are; changes and folds of one arm from the simulated mean at the start.
    """
    found = []
    for r in simulation.results:
        if r.of != variable or r.versus or r.stratum or r.week is None or r.published is None or not r.published_se:
            continue
        course = [q for a in simulation.arms if a.arm == r.arm for q in a.quantiles if q.variable == variable]
        if not course or r.unit not in (simulation.units.get(variable, "dimensionless"), "dimensionless"):
            continue
        start, hours = course[0].mean, r.week * HOURS_PER_WEEK
        if r.endpoint == "level" and r.unit != "dimensionless":
            found.append((r.arm, hours, r.published, r.published_se))
        elif r.endpoint == "change" and r.unit != "dimensionless":
            found.append((r.arm, hours, start + r.published, r.published_se))
        elif r.endpoint == "ratio":
            # the standard error of a fold is that of its logarithm
            found.append((r.arm, hours, start * r.published, start * r.published * r.published_se))
    return tuple(found)


def _stratum(limits: Eligibility | None) -> str:
    if limits is None:
        return ""
    ends = [f"{sign} {end:g}" for sign, end in ((">=", limits.min), ("<", limits.max)) if end is not None]
    return f"{limits.analyte} {' and '.join(ends)} {limits.unit}"
