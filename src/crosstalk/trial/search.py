"""Search over designs: cut-off, size, week of the endpoint, drug and dose; the front of power against screening."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import CrosstalkError, TrialError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.limits import PATIENTS, USUAL
from crosstalk.population.calibrated import possible_worlds
from crosstalk.study.records import Study
from crosstalk.trial.analyse import favours
from crosstalk.trial.characteristics import Value, counted
from crosstalk.trial.conduct import setting_of
from crosstalk.trial.looks import run_trial_once
from crosstalk.trial.plan import design_of, read_trial
from crosstalk.trial.pool import make_pool
from crosstalk.trial.replicates import calm_start, shared_value, workers
from crosstalk.trial.setting import Setting
from crosstalk.trial.truth import typical_world

__all__ = ["Candidate", "Space", "default_space", "optimise", "pareto"]

Progress = Callable[[str, float], None]

PARTICIPANTS = 1500
WORLDS, OTHERS = 24, 250  # possible worlds, and participants in each, among which the typical one is found


@dataclass(frozen=True, slots=True)
class Space:
    """What is varied; what is empty stays as the design has it.

    ``doses`` multiply every dose of the arm; ``cutoffs`` are lower limits of the marker, in its own unit.
    """

    arms: tuple[str, ...] = ()
    doses: tuple[float, ...] = (1.0,)
    cutoffs: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    weeks: tuple[float, ...] = ()

    def check(self, study: Study) -> None:
        """Raise `UsageError` or `TrialError` for what the study does not offer."""
        design = design_of(study)
        names = [a.id for a in study.arms if a.id != design.control]
        for arm in self.arms:
            if arm not in names:
                raise UsageError(f"arm '{arm}' is unknown; study '{study.id}' has {', '.join(names)}")
        if self.cutoffs and design.marker is None:
            raise TrialError(f"study '{study.id}': has no marker to vary the cut-off of; add trial.marker")
        if design.kind in ("match", "crossover"):
            raise TrialError(f"study '{study.id}': a {design.kind} design cannot be searched over; take another kind")
        if any(not 4 <= n <= PATIENTS for n in self.sizes) or any(not 0 < d < USUAL for d in self.doses):
            raise UsageError(
                f"sizes must be 4 or more, and doses above 0; at most {PATIENTS} patients and less than {USUAL:g} "
                f"times the dose; received {', '.join(f'{x:g}' for x in (*self.sizes, *self.doses))}"
            )
        known = [t / 168.0 for t in study.output_times_h if t > 0]
        for week in self.weeks:
            if not any(abs(week - w) < 1e-6 for w in known):
                raise UsageError(f"week {week:g} is no visit; expected one of {', '.join(f'{w:g}' for w in known)}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One design of the search. ``front``: no other one has more power and screens fewer."""

    arm: str
    dose: float
    cutoff: float | None
    n: int
    week: float
    power: Value
    screened: Value
    cost: float | None
    note: str = ""
    front: bool = False


def default_space(
    study: Study,
    *,
    arms: tuple[str, ...] = (),
    doses: tuple[float, ...] = (),
    cutoffs: tuple[float, ...] = (),
    sizes: tuple[int, ...] = (),
    weeks: tuple[float, ...] = (),
) -> Space:
    """What to vary where nothing is said: three cut-offs, four sizes, the later visits, every active arm.

    What is given is taken as it is.
    """
    design = design_of(study)
    last = max(study.output_times_h)
    marker = design.marker
    if not cutoffs and marker is not None and marker.min is not None:
        cutoffs = tuple(float(f"{marker.min * f:.3g}") for f in (0.6, 1.0, 1.7))
    return Space(
        arms or tuple(a.id for a in study.arms if a.id != design.control),
        doses or (1.0,),
        cutoffs,
        sizes or tuple(max(4, 2 * round(design.n * f / 2)) for f in (0.5, 0.75, 1.0, 1.5)),
        weeks or tuple(t / 168.0 for t in study.output_times_h if t >= last / 2 and t > 0),
    )


def optimise(
    study: Study | str | Path,
    space: Space,
    *,
    replicates: int = 200,
    seed: int = 1,
    participants: int = PARTICIPANTS,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[Candidate, ...]:
    """Power of the primary analysis, and how many must be screened, for every design of a space.

    Trials take place in the typical world of the design as it stands. Designs are compared on the same participants.

    Parameters
    ----------
    replicates : int
        Simulated trials of each design.
    participants : int
        Possible participants from whom they are drawn.
    jobs : int
        Processes; they change no result.

    Raises
    ------
    UsageError, TrialError
        If the space asks for what the study does not have.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    plan = study if isinstance(study, Study) else read_trial(study, knowledge)
    space.check(plan)
    design = design_of(plan)
    arms, sizes = space.arms or (design.primary.arm,), space.sizes or (design.n,)
    weeks = space.weeks or (design.primary.time_h / 168.0,)
    cutoffs: tuple[float | None, ...] = space.cutoffs or (None,)
    treatments = list(product(arms, space.doses))
    found: list[Candidate] = []
    worlds = possible_worlds(knowledge, seed, WORLDS)
    others = make_pool(plan, worlds, patients=OTHERS, seed=seed + 1, knowledge=knowledge, engine=engine)
    world = worlds.take(np.array([typical_world(plan, others, knowledge, seed)]))
    for k, (arm, dose) in enumerate(treatments):
        variant = _treated(plan, arm, dose)
        if progress is not None:
            progress(f"participants on {arm} x {dose:g}", k / len(treatments))
        pool = make_pool(variant, world, patients=participants, seed=seed, knowledge=knowledge, engine=engine)
        base = setting_of(variant, pool, knowledge)
        tasks = [(arm, dose, c, n, w) for c in cutoffs for n in sizes for w in weeks]
        with closing(_candidates(base, tasks, replicates, seed, jobs)) as candidates:
            for j, candidate in enumerate(candidates, start=1):
                found.append(candidate)
                if progress is not None:
                    progress(f"{arm} x {dose:g}: design {j} of {len(tasks)}", (k + j / len(tasks)) / len(treatments))
    return pareto(found)


def pareto(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Mark the designs that no other one beats in both power and screening; most powerful first.

    Examples
    --------
    >>> made = [Candidate("a", 1, None, n, 8, Value(p, 0), Value(s, 0), None) for n, p, s in
    ...         [(50, 0.5, 100), (80, 0.8, 200), (90, 0.7, 300)]]
    >>> [(c.n, c.front) for c in pareto(made)]
    [(80, True), (90, False), (50, True)]
    """
    order = sorted(found, key=lambda c: (-c.power.value if np.isfinite(c.power.value) else 1.0, c.screened.value))
    least, marked = float("inf"), []
    for c in order:
        front = bool(np.isfinite(c.power.value) and c.screened.value < least)
        least = min(least, c.screened.value) if front else least
        marked.append(replace(c, front=front))
    return tuple(marked)


def _treated(study: Study, arm: str, dose: float) -> Study:
    """The study with one active arm at a multiple of its dose, against the control."""
    design = design_of(study)
    kept = tuple(
        replace(a, doses=tuple(replace(d, amount=d.amount * dose) for d in a.doses)) if a.id == arm else a
        for a in study.arms
        if a.id in (arm, design.control)
    )
    primary = replace(design.primary, arm=arm, versus=design.control)
    # of the block, the places of the two arms; in the order of the study, as the treatments are
    places = {a.id: round(design.allocation[a.id] * design.block) for a in kept}
    block = sum(places.values())
    trial = replace(
        design, allocation={a: p / block for a, p in places.items()}, analyses=(primary,), multiplicity="none",
        block=block,
    )  # fmt: skip
    return replace(study, arms=kept, trial=trial)


Task = tuple[str, float, float | None, int, float]


def _candidates(
    base: Setting, tasks: Sequence[Task], replicates: int, seed: int, jobs: int
) -> Generator[Candidate, None, None]:
    if jobs <= 1:
        for task in tasks:
            yield _candidate(base, task, replicates, seed)
        return
    with workers(base, jobs) as pool:
        with calm_start():
            found = pool.map(_remote, tasks, *([x] * len(tasks) for x in (replicates, seed)))
        yield from found


def _remote(task: Task, replicates: int, seed: int) -> Candidate:
    return _candidate(shared_value(), task, replicates, seed)


def _candidate(base: Setting, task: Task, replicates: int, seed: int) -> Candidate:
    """Run the trials of one design; one that leaves nobody says so and has no power."""
    arm, dose, cutoff, n, week = task
    design = base.design
    marker = design.marker
    if cutoff is not None and marker is not None:
        marker = replace(marker, min=cutoff)
    primary = replace(design.primary, time_h=week * 168.0)
    trial = replace(design, n=n, marker=marker, analyses=(primary,))
    # a trial with an earlier endpoint ends there; with the last visit it would have, people leave at the same rate
    visits = base.visits_h[base.visits_h <= primary.time_h + 1e-6]
    setting = replace(base, design=trial, study=replace(base.study, trial=trial), visits_h=visits)
    cut = cutoff if cutoff is not None else None if marker is None else marker.min
    won, screened, cost = np.empty(replicates), np.empty(replicates), np.empty(replicates)
    try:
        with threadpool_limits(1):
            for r in range(replicates):
                done = run_trial_once(setting, 0, np.random.default_rng([seed, 77, r]))
                better = favours(primary, np.array([done.estimates[primary.id].estimate]))[0]
                won[r] = better and done.adjusted[primary.id] < primary.alpha
                screened[r] = done.counts["screened"]
                cost[r] = (
                    trial.costs.screening * screened[r] + trial.costs.patient * done.counts["randomised"]
                    + trial.costs.visit * done.counts["visits"]
                )  # fmt: skip
    except CrosstalkError as error:
        nothing = Value(float("nan"), float("nan"))
        return Candidate(arm, dose, cut, n, week, nothing, nothing, None, str(error).splitlines()[0])
    priced = bool(trial.costs.screening or trial.costs.patient or trial.costs.visit)
    return Candidate(arm, dose, cut, n, week, counted(won), counted(screened), float(cost.mean()) if priced else None)
