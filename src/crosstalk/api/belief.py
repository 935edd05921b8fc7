"""How far to believe it: `calibrate`, `validate`, and `pool` of published results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crosstalk.api.inputs import EngineLike, KnowledgeLike, engine_of, knowledge_of
from crosstalk.api.studies import StudyLike, study_from
from crosstalk.calibrate import calibration, validation
from crosstalk.calibrate.calibration import Calibration, Settings
from crosstalk.calibrate.files import write_calibration
from crosstalk.calibrate.targets import gather
from crosstalk.calibrate.validation import Validation
from crosstalk.errors import UsageError
from crosstalk.evidence import pooling
from crosstalk.evidence.listing import published
from crosstalk.evidence.records import Pool, PublishedResult, Query
from crosstalk.evidence.sources import read_entries, read_entry, study_paths
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.calibrated import possible_worlds, posterior_in_force, posterior_worlds
from crosstalk.progress import Progress, telling
from crosstalk.study.records import Study

__all__ = ["calibrate", "pool", "validate"]

Studies = StudyLike | Sequence[StudyLike] | None


def calibrate(
    studies: Studies = None,
    *,
    members: int = 240,
    effort: float = 1.0,
    fixed: Mapping[str, float] | None = None,
    out: str | Path | None = None,
    work: str | Path | None = None,
    knowledge: KnowledgeLike = None,
    engine: EngineLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> Calibration:
    """Calibrate the unknowns on published results.

    Parameters
    ----------
    studies : whatever `crosstalk.read_study` takes, or a sequence of it, optional
        All of role ``calibrate`` by default.
    members : int
        Size of the ensemble; so many draws are left.
    effort : float
        Multiplies the numbers of virtual patients.
    fixed : mapping of str to float, optional
        Constants that keep a value for good, in their own units.
    out : path, optional
        Write the posterior there as netCDF, which ``CROSSTALK_POSTERIOR`` may name.
    work : path, optional
        Folder for what is done so far; a run that was stopped goes on from there, to the same result.
    knowledge, engine, seed, progress
        See `crosstalk.simulate`.

    Returns
    -------
    Calibration
        `to_frame` gives a row per unknown: prior and posterior (5, 50 and 95 %) in its own unit, and the share of the
        prior's variance that is gone.

    Raises
    ------
    CalibrationError
        If there is nothing to calibrate on.
    UsageError
        If the settings make no sense.

    References
    ----------
    Emerick & Reynolds 2013, https://doi.org/10.1016/j.cageo.2012.03.011: ensemble smoother with multiple data
    assimilation.

    Examples
    --------
    >>> import crosstalk
    >>> found = crosstalk.calibrate(["windoloski2024"], members=20, effort=0.05)
    >>> len(found.to_frame()) == len(found.unknowns)
    True
    """
    known = knowledge_of(knowledge)
    settings = Settings(members, effort, seed, tuple((fixed or {}).items()))
    settings.check()
    targets = None if studies is None else gather(_many(studies, known), known)
    with engine_of(engine) as running, telling(progress, "calibrate") as say:
        found = calibration.calibrate(
            settings, knowledge=known, engine=running, work=None if work is None else Path(work), targets=targets,
            progress=say,
        )  # fmt: skip
    if out is not None:
        write_calibration(Path(out), found)
    return found


def validate(
    studies: Studies = None,
    *,
    posterior: str | Path | None = None,
    draws: int = validation.DRAWS,
    patients: int = validation.PATIENTS,
    prior_draws: int = validation.PRIOR_DRAWS,
    knowledge: KnowledgeLike = None,
    engine: EngineLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> Validation:
    """Predict published results, and judge the model beside two rivals.

    Parameters
    ----------
    studies : whatever `crosstalk.read_study` takes, or a sequence of it, optional
        With results; all of role ``validate`` by default.
    posterior : path, optional
        Another posterior than the one in force.
    draws, prior_draws : int
        Worlds of the posterior, and of the prior for the prior predictive.
    patients : int
        Virtual patients of each study in each world.
    knowledge, engine, seed, progress
        See `crosstalk.simulate`.

    Returns
    -------
    Validation
        `to_frame` gives a row per result: observed and predicted with 90 % intervals, in the unit of the result, and
        the scores of the model and its rivals.

    Raises
    ------
    CalibrationError
        If no study has a result, or one has no standard error.
    PopulationError
        If the posterior cannot be read or does not fit the model.

    References
    ----------
    Gneiting & Raftery 2007, https://doi.org/10.1198/016214506000001437: proper scores.

    Examples
    --------
    >>> import crosstalk
    >>> found = crosstalk.validate("windoloski2024", draws=4, prior_draws=4, patients=4)
    >>> {"observed", "lo90", "hi90", "inside90"} <= set(found.to_frame().columns)
    True
    """
    known = knowledge_of(knowledge)
    chosen = None if studies is None else _many(studies, known)
    given = None if posterior is None else posterior_in_force(Path(posterior), known)
    worlds = possible_worlds(known, seed, draws) if given is None else posterior_worlds(given, known, seed, draws)
    with engine_of(engine) as running, telling(progress, "validate") as say:
        return validation.validate(
            chosen, worlds, knowledge=known, engine=running, seed=seed, patients=patients, prior_draws=prior_draws,
            progress=say,
        )  # fmt: skip


def pool(
    studies: str | Path | Sequence[str | Path] | Sequence[PublishedResult] = (),
    *,
    endpoint: str | Sequence[str],
    of: str | Sequence[str] = (),
    drug: str | Sequence[str] = (),
    role: str | Sequence[str] = (),
    diagnosis: str | Sequence[str] = (),
    provenance: str | Sequence[str] = (),
    contrast: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    from_h: float | None = None,
    to_h: float | None = None,
    meta_analyses: bool = False,
    knowledge: KnowledgeLike = None,
) -> Pool:
    """Pool comparable published effects: random effects, prediction interval.

    Parameters
    ----------
    studies : path, id, a sequence of them, or of PublishedResult
        Study files, folders of them, or ids; all that are known by default.
    endpoint, of, drug, role, diagnosis, provenance, contrast, without : str or sequence of str
        Which results, see ``crosstalk evidence pool --help``; an empty one asks for all.
    from_h, to_h : float [h]
        Bounds on the time of a result, both included.
    meta_analyses : bool
        Keep meta-analyses beside trials, whose patients they may hold.
    knowledge : Knowledge, path or sequence of paths, optional
        Folders of your own add to what ships.

    Returns
    -------
    Pool
        `to_frame` gives a row per effect: value and 95 % interval in the unit of the pool, weight [%].

    Raises
    ------
    UsageError
        On unknown names, or endpoints or analytes that cannot be pooled together.
    EvidenceError
        If fewer than two effects are comparable, or PyMARE (extra ``evidence``) is not installed.
    StudyError
        If a file cannot be read.

    References
    ----------
    IntHout et al. 2014, https://doi.org/10.1186/1471-2288-14-25: the interval after Hartung, Knapp, Sidik and Jonkman.

    Examples
    --------
    >>> import crosstalk
    >>> found = crosstalk.pool(endpoint="smd", of="HAMD17", drug="minocycline")
    >>> found.k == len(found.to_frame())
    True
    """
    known = knowledge_of(knowledge)
    query = Query(
        role=_names(role), drug=_names(drug), of=_names(of), endpoint=_names(endpoint), diagnosis=_names(diagnosis),
        provenance=_names(provenance), contrast=_names(contrast), without=_names(without), from_h=from_h, to_h=to_h,
    )  # fmt: skip
    given = [studies] if isinstance(studies, (str, Path)) else list(studies)
    rows = [one for one in given if isinstance(one, PublishedResult)]
    if not rows:
        paths = study_paths([str(one) for one in given], known)
        # what ships is read as far as it can be; what was named must be read
        entries = [read_entry(path, known) for path in paths] if given else read_entries(paths, known)[0]
        rows = list(published(entries))
    elif len(rows) < len(given):
        raise UsageError("studies: received published results mixed with files; give either")
    return pooling.pool(rows, query, known, meta_analyses=meta_analyses)


def _many(given: Any, known: Knowledge) -> tuple[Study, ...]:
    one = isinstance(given, (str, Path, Mapping, Study))
    return tuple(study_from(study, known) for study in ([given] if one else given))


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
