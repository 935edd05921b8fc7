"""Studies and trials: `read_study`, `simulate`, `run_trial`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from crosstalk.api.inputs import EngineLike, KnowledgeLike, engine_of, knowledge_of
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population import run
from crosstalk.population.run import StudyRun
from crosstalk.population.worlds import Worlds
from crosstalk.progress import Progress, telling
from crosstalk.study import schema
from crosstalk.study.records import Study
from crosstalk.trial import run as trials
from crosstalk.trial.plan import design_of
from crosstalk.trial.result import TrialResult

__all__ = ["StudyLike", "read_study", "run_trial", "simulate", "study_from"]

StudyLike: TypeAlias = str | Path | Mapping[str, Any] | Study
"""A study file, the id of a study that is known, its tables as a dict, or a study."""


def read_study(source: StudyLike, *, knowledge: KnowledgeLike = None) -> Study:
    """Read a study, challenge or trial and check it against what is known.

    Parameters
    ----------
    source : path, id, dict or Study
        A TOML file; the id of a study that ships or that is in a folder of your own; or the tables of a file as a dict.
    knowledge : Knowledge, path or sequence of paths, optional
        Folders of your own add to what ships.

    Returns
    -------
    Study
        Eligibility, strata and results in the units of their analytes, times in hours.

    Raises
    ------
    StudyError
        One line per problem: file, line, key, what was received, what was expected, what to do.

    Examples
    --------
    >>> import crosstalk
    >>> [arm.id for arm in crosstalk.read_study("raison2013").arms]
    ['infliximab', 'placebo']
    """
    return study_from(source, knowledge_of(knowledge))


def simulate(
    study: StudyLike,
    *,
    patients: int = 100,
    worlds: int | Worlds = 0,
    true_daily: bool = False,
    circadian: bool = False,
    knowledge: KnowledgeLike = None,
    engine: EngineLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> StudyRun:
    """Run a study, challenge or trial on virtual patients.

    Parameters
    ----------
    study : whatever `read_study` takes
    patients : int
        Virtual patients; each runs every arm.
    worlds : int or Worlds
        Draws of the uncertain constants to spread the patients over; 0 takes their central values.
    true_daily : bool
        Give daily drugs dose by dose, not as a mean rate.
    circadian : bool
        Add the 24-hour rhythm of cortisol.
    knowledge : Knowledge, path or sequence of paths, optional
        Folders of your own add to what ships.
    engine : Engine, "fast" or "reference", optional
    seed : int
        Fixes everything random.
    progress : bool or callable, optional
        True shows a bar; a function is called with words and the share done, which is NaN here.

    Returns
    -------
    StudyRun
        ``courses`` maps (arm, output) to arrays of shape (patients, times); `to_frame` gives a row per arm, patient,
        time [h] and variable.

    Raises
    ------
    StudyError
        If the study cannot be read or carried out.
    PopulationError
        If the criteria leave too few patients.
    UsageError
        If ``patients`` is below 1.

    Examples
    --------
    >>> import crosstalk
    >>> run = crosstalk.simulate("raison2013", patients=4)
    >>> run.courses["placebo", "HAMD17"].shape[0]
    4
    """
    known = knowledge_of(knowledge)
    plan = study_from(study, known)
    with engine_of(engine) as running, telling(progress, "simulate") as say:
        if say is not None:
            say(f"{plan.id}, {patients} patients", math.nan)
        return run.simulate(
            plan, patients=patients, seed=seed, knowledge=known, engine=running, worlds=worlds, true_daily=true_daily,
            circadian=circadian,
        )  # fmt: skip


def run_trial(
    study: StudyLike,
    *,
    replicates: int = 500,
    worlds: int = 24,
    null: bool = True,
    participants: tuple[int, int] = (trials.CENTRAL_PATIENTS, trials.WORLD_PATIENTS),
    jobs: int = 1,
    work: Path | None = None,
    knowledge: KnowledgeLike = None,
    engine: EngineLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> TrialResult:
    """Simulate a trial many times: power, error, bias, size, probability of success.

    Parameters
    ----------
    study : whatever `read_study` takes
        With a table ``[trial]``.
    replicates : int
        Simulated trials of each kind: in the typical world, in possible worlds, and where no drug does anything.
    worlds : int
        Possible worlds for the probability of success.
    null : bool
        Also simulate trials in which no drug does anything.
    participants : (int, int)
        Possible participants whom the trials draw from: in the typical world, and in each other.
    jobs : int
        Processes; they change no result. More than one needs the guard ``if __name__ == "__main__":`` in a script.
    work : Path, optional
        Folder for what is done so far; a run that was stopped goes on from there.
    knowledge, engine, seed, progress
        See `simulate`; the share done is known here.

    Returns
    -------
    TrialResult
        `to_frame` gives a row per analysis; effects in the unit of the endpoint, power as a share, each with its
        Monte-Carlo standard error.

    Raises
    ------
    StudyError, TrialError
        If the design cannot be carried out.
    PopulationError
        If the criteria or the cut-off leave too few.

    Examples
    --------
    >>> import crosstalk
    >>> plan = {
    ...     "study": {"id": "small", "role": "design", "duration_weeks": 8, "outputs": ["HAMD17"]},
    ...     "population": {"diagnosis": "mdd", "severity": {"scale": "HAMD17", "mean": 24, "sd": 4}},
    ...     "arm": [{"id": "placebo"}, {"id": "ssri", "dose": [
    ...         {"drug": "escitalopram", "amount": 10, "unit": "mg", "route": "oral", "every_h": 24}]}],
    ...     "trial": {"n": 60, "analysis": [
    ...         {"id": "primary", "method": "ancova", "of": "HAMD17", "week": 8, "arm": "ssri", "versus": "placebo"}]},
    ... }
    >>> result = crosstalk.run_trial(plan, replicates=4, worlds=2, null=False, participants=(40, 20))
    >>> 0 <= result.primary.power.value <= 1
    True
    """
    known = knowledge_of(knowledge)
    plan = study_from(study, known)
    design_of(plan)
    settings = trials.TrialSettings(replicates, worlds, seed, participants, null)
    with engine_of(engine) as running, telling(progress, f"trial {plan.id}") as say:
        return trials.run_trial(
            plan, settings=settings, knowledge=known, engine=running, jobs=jobs, work=work, progress=say
        )


def study_from(source: StudyLike, known: Knowledge) -> Study:
    """The study that is meant, by knowledge that is there; see `read_study`."""
    if isinstance(source, Study):
        return source
    if isinstance(source, Mapping):
        return schema.study_of(source, known)
    if isinstance(source, (str, Path)):
        return schema.read_study(source, known)
    raise UsageError(
        f"received a {type(source).__name__}; expected a study file, the id of a study, its tables as a dict, or "
        "a Study"
    )
