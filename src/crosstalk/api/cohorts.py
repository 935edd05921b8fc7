"""Cohorts with outcomes: `read_cohort`, `learn`, `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from crosstalk.api.inputs import KnowledgeLike, TableLike, knowledge_of, read_as_file
from crosstalk.errors import UsageError
from crosstalk.learn import cohort as reader
from crosstalk.learn import learning
from crosstalk.learn.cohort import Cohort, CohortColumns
from crosstalk.learn.external import Prediction, predict_locked
from crosstalk.learn.ladder import Ladder
from crosstalk.learn.locked import LockedModel, freeze, read_locked
from crosstalk.learn.records import Learnt
from crosstalk.panel.mapping import FileMap
from crosstalk.progress import Progress, telling

__all__ = ["earned", "learn", "lock", "predict", "read_cohort"]


def read_cohort(
    source: TableLike | Cohort,
    *,
    outcome: str | None = None,
    positive: str | None = None,
    covariates: Sequence[str] = (),
    site: str | None = None,
    group: str | None = None,
    treatment: str | None = None,
    treated: str | None = None,
    week2: str | None = None,
    baseline: str | None = None,
    occasion: str | None = None,
    mapping: FileMap | str | Path | None = None,
    knowledge: KnowledgeLike = None,
) -> Cohort:
    """Read a cohort: one row per patient, panel, clinical columns, and the outcome if there is one.

    Parameters
    ----------
    source : path, DataFrame, dict of columns, list of dicts, or Cohort
    outcome : str, optional
        Column of the outcome: two values, or a score.
    positive : str, optional
        Which value is the event, if not 1 or yes.
    covariates : sequence of str
        Clinical columns besides age, sex, BMI and scores, which are known.
    site, group : str, optional
        Columns: where treated; who belongs together (family).
    treatment, treated : str, optional
        Column of the randomised treatment, and the value of the active arm if not 1 or yes.
    week2, baseline : str, optional
        Columns of one score in week 2 and before treatment.
    occasion, mapping
        See `crosstalk.read_panel`.
    knowledge : Knowledge, path or sequence of paths, optional
        Folders of your own add to what ships.

    Returns
    -------
    Cohort
        ``table`` of shape (n, k), a column per analyte in its own unit; ``y`` of shape (n,).

    Raises
    ------
    PanelError, LearnError
        If a cell cannot be read, with its place; if the outcome has one value, or more than two and is no score.
    UsageError
        If a named column is absent or named twice.

    Examples
    --------
    >>> import crosstalk
    >>> rows = {"patient": ["A", "B"], "age [a]": [40, 50], "hsCRP [mg/L]": [6.0, "<0.2"], "responder": [1, 0]}
    >>> cohort = crosstalk.read_cohort(rows, outcome="responder")
    >>> cohort.kind, cohort.events, cohort.analytes
    ('event', 1, ('hsCRP',))
    """
    if isinstance(source, Cohort):
        return source
    columns = CohortColumns(
        outcome, positive, site, group, treatment, treated, tuple(covariates), week2, baseline
    )  # fmt: skip
    known = knowledge_of(knowledge)
    return read_as_file(
        source, lambda path: reader.read_cohort(path, columns, knowledge=known, occasion=occasion, mapping=mapping)
    )


def learn(
    cohort: TableLike | Cohort,
    *,
    outcome: str | None = None,
    positive: str | None = None,
    covariates: Sequence[str] = (),
    site: str | None = None,
    group: str | None = None,
    treatment: str | None = None,
    treated: str | None = None,
    week2: str | None = None,
    baseline: str | None = None,
    occasion: str | None = None,
    mapping: FileMap | str | Path | None = None,
    folds: int = 5,
    repeats: int = 10,
    bootstrap: int = 100,
    boosting: bool = True,
    mechanism: bool = True,
    expected_r2: float = 0.15,
    higher_is_better: bool | None = None,
    out: str | Path | None = None,
    rung: str = "",
    work: Path | None = None,
    knowledge: KnowledgeLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> Learnt:
    """Judge what can be predicted in a cohort, and what the immune panel adds.

    Parameters
    ----------
    cohort : whatever `read_cohort` takes
    outcome, positive, covariates, site, group, treatment, treated, week2, baseline, occasion, mapping
        See `read_cohort`; the outcome is needed.
    folds, repeats : int
        Of the cross-validation.
    bootstrap : int
        Resamples for optimism and stability; 0 for none.
    boosting : bool
        Gradient boosting beside penalised regression.
    mechanism : bool
        Mechanism scores and the twin as rungs of the ladder.
    expected_r2 : float [fraction]
        Expected share of the largest R2, for the size that is needed.
    higher_is_better : bool, optional
        Direction of the outcome, for the benefit of a treatment; by default an event is good, a high score bad.
    out : path, optional
        Lock a model for `predict` there.
    rung : str
        Rung to lock: ``clinical``, ``crp`` or ``panel``; what is earned by default.
    work : Path, optional
        Folder for what is done so far; a run that was stopped goes on from there.
    knowledge : Knowledge, path or sequence of paths, optional
        For reading the cohort; the steps that know the mechanism take what is in force (``CROSSTALK_KNOWLEDGE``).
    seed : int
        Fixes everything random.
    progress : bool or callable, optional
        True shows a bar; a function is called with words and the share done.

    Returns
    -------
    Learnt
        ``conclusions`` in words; `to_frame` gives a row per model with its AUC or error and their standard errors.

    Raises
    ------
    LearnError
        If the cohort cannot carry any model, with the reasons.
    UsageError
        If no outcome is named.

    References
    ----------
    Riley et al. 2020, https://doi.org/10.1136/bmj.m441, for the size that is needed; Collins et al. 2024 (TRIPOD+AI),
    https://doi.org/10.1136/bmj-2023-078378.

    Examples
    --------
    >>> import numpy as np
    >>> import crosstalk
    >>> rng = np.random.default_rng(1)
    >>> crp, age = np.round(np.exp(rng.normal(0.8, 1.0, 120)), 2), rng.integers(20, 65, 120)
    >>> responder = (rng.random(120) < 1 / (1 + np.exp(0.4 * (crp - 3)))).astype(int)
    >>> rows = {"patient": np.arange(120), "age [a]": age, "hsCRP [mg/L]": crp, "responder": responder}
    >>> found = crosstalk.learn(
    ...     rows, outcome="responder", mechanism=False, boosting=False, bootstrap=0, repeats=2, folds=3
    ... )
    >>> found.n, found.kind
    (120, 'event')
    """
    read = read_cohort(
        cohort, outcome=outcome, positive=positive, covariates=covariates, site=site, group=group, treatment=treatment,
        treated=treated, week2=week2, baseline=baseline, occasion=occasion, mapping=mapping, knowledge=knowledge,
    )  # fmt: skip
    with telling(progress, "learn") as say:
        found, ladder = learning.learn_with_ladder(
            read, steps=learning.mechanism_steps() if mechanism else None, folds=folds, repeats=repeats, seed=seed,
            boosting=boosting, bootstrap=bootstrap, expected_r2=expected_r2, higher_is_better=higher_is_better,
            progress=say, work=work,
        )  # fmt: skip
    if out is not None:
        from crosstalk.provenance import atomic_write

        atomic_write(Path(out), lock(read, ladder, found, rung).to_json())
    return found


def predict(
    model: str | Path | LockedModel,
    panel: TableLike | Cohort,
    *,
    outcome: str | None = None,
    positive: str | None = None,
    occasion: str | None = None,
    mapping: FileMap | str | Path | None = None,
    knowledge: KnowledgeLike = None,
) -> Prediction:
    """Apply a locked model to patients as it is; flag what its training did not hold.

    Parameters
    ----------
    model : path or LockedModel
        What `learn` locked.
    panel : whatever `read_cohort` takes, or a file of panels of any format
    outcome : str, optional
        Column of the known outcome: validate the model on it.
    positive : str, optional
        Which value is the event, if not the model's.
    occasion, mapping
        See `crosstalk.read_panel`.
    knowledge : Knowledge, path or sequence of paths, optional
        Folders of your own add to what ships.

    Returns
    -------
    Prediction
        `to_frame` gives a row per patient: value (a share, or a score in its own unit), interval, flags.

    Raises
    ------
    LearnError
        If predictors are absent, or the outcome is of another kind than the model's.
    PanelError
        If the panels cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import crosstalk
    >>> rng = np.random.default_rng(1)
    >>> rows = {"patient": np.arange(120), "age [a]": rng.integers(20, 65, 120), "HAMD17": rng.integers(18, 30, 120)}
    >>> rows["hsCRP [mg/L]"] = np.round(np.exp(rng.normal(0.8, 1.0, 120)), 2)
    >>> rows["responder"] = rng.integers(0, 2, 120)
    >>> with TemporaryDirectory() as folder:
    ...     file = f"{folder}/model.json"
    ...     _ = crosstalk.learn(
    ...         rows, outcome="responder", out=file, rung="clinical", mechanism=False, boosting=False, bootstrap=0,
    ...         repeats=2, folds=3,
    ...     )
    ...     found = crosstalk.predict(file, {"patient": "new", "age [a]": 41, "HAMD17": 25})
    >>> found.to_frame()["patient"].tolist()
    ['new']
    """
    locked = model if isinstance(model, LockedModel) else read_locked(model)
    known = knowledge_of(knowledge)
    event = positive or (locked.positive if outcome is not None and locked.kind == "event" else None)

    def read(path: Path) -> Cohort:
        columns = replace(locked.columns(reader.header_of(path)), outcome=outcome, positive=event)
        return reader.read_cohort(path, columns, knowledge=known, occasion=occasion, mapping=mapping)

    if isinstance(panel, Cohort):
        if outcome is not None:
            raise UsageError("outcome: a Cohort has been read already; name its outcome in read_cohort")
        given = panel
    else:
        given = read_as_file(panel, read)
    return predict_locked(locked, given, locked.name if isinstance(model, LockedModel) else str(model))


def lock(cohort: Cohort, ladder: Ladder, found: Learnt, rung: str = "") -> LockedModel:
    """Lock the rung that is asked for, or the least that predicts as well as any.

    Raises
    ------
    UsageError, LearnError
        If the rung is unknown, was skipped, or cannot be locked.
    """
    from crosstalk.report.documents import plain

    chosen = rung or earned(found)
    own = next((m for m in found.models if m.rung == chosen and m.learner == "penalised"), None)
    kept = plain(asdict(own.performance)) if own is not None and own.performance is not None else None
    return freeze(cohort, ladder, chosen, kept)


def earned(found: Learnt) -> str:
    """The panel if it adds, or CRP if that adds, else the clinical rung; the fullest run where none of it was."""
    better = {d.model for d in found.differences if d.learner == "penalised" and d.verdict == "better"
              and d.reference in ("clinical", "prevalence")}  # fmt: skip
    ran = [m.rung for m in found.models if not m.skipped and m.rung in ("panel", "crp", "clinical")]
    for rung in ("panel", "crp"):
        if rung in better and rung in ran:
            return rung
    return "clinical" if "clinical" in ran else ran[-1] if ran else "panel"
