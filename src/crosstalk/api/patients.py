"""Patients: `read_panel`, `assess`, `forecast`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from crosstalk.api.inputs import EngineLike, KnowledgeLike, TableLike, engine_of, knowledge_of, read_as_file
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.panel import reader
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.records import Panel, PanelFile
from crosstalk.progress import Progress, telling
from crosstalk.twin import twin
from crosstalk.twin.cohort import assess_cohort
from crosstalk.twin.cohort_records import CohortAssessment
from crosstalk.twin.forecasts import CohortForecast, forecast_cohort
from crosstalk.twin.records import Assessment, Forecast
from crosstalk.twin.sequential import EarlyScore
from crosstalk.twin.visits import course_of

__all__ = ["PanelLike", "assess", "forecast", "read_panel"]

PanelLike: TypeAlias = "TableLike | PanelFile | Panel"
"""Whatever `read_panel` reads, and what it returns."""


def read_panel(
    source: PanelLike,
    *,
    knowledge: KnowledgeLike = None,
    batch: bool = False,
    occasion: str | None = None,
    keep: Sequence[str] = (),
    mapping: FileMap | str | Path | None = None,
) -> PanelFile:
    """Read the panels of a file or table; the format of a file is recognised from its content.

    Parameters
    ----------
    source : path, DataFrame, dict, list of dicts, PanelFile or Panel
        A file of any format that is read; or a table, wide (``hsCRP [mg/L]``) or long (``patient, analyte, value,
        unit``); or one row of it as a dict; or a FHIR resource as a dict. ``<0.11`` is a value below the limit of
        detection and stays one.
    knowledge : Knowledge, path or sequence of paths, optional
        Whose analytes to read: folders of your own add to those that ship.
    batch : bool
        For cohorts: where few values of an analyte (at most 5 %) are refused, they are left out of their patients, told
        in notes and warnings, and reading goes on.
    occasion : {"first", "last", "each"} or "nearest-to SCORE", optional
        Which occasion, where a patient has values of several; without it such a file is refused.
    keep : sequence of str
        Columns of a table to keep as text (`Panel.extra`).
    mapping : FileMap or path, optional
        What the columns, tests, codes and visits of the file mean.

    Returns
    -------
    PanelFile
        One panel per patient, values in each analyte's own unit.

    Raises
    ------
    PanelError
        One line per kind of problem: place, patient, analyte, what was received, what was expected, what to do.
    UsageError
        If the source is nothing that is read, or the occasion is none of these.

    Examples
    --------
    >>> import crosstalk
    >>> file = crosstalk.read_panel({"patient": "A", "hsCRP [mg/L]": 5.2, "IL-6 [pg/mL]": "<0.4", "HAMD17": 22})
    >>> list(zip(file.to_frame()["analyte"], file.to_frame()["value"], file.to_frame()["censored"]))
    [('hsCRP', 5.2, ''), ('IL-6', 0.4, 'left'), ('HAMD17', 22.0, '')]
    """
    if isinstance(source, PanelFile):
        return source
    if isinstance(source, Panel):
        return PanelFile(source.patient, "", (source,), format="panel")
    known = knowledge_of(knowledge)
    return read_as_file(
        source,
        lambda path: reader.read_panel(
            path, knowledge=known, batch=batch, occasion=occasion, keep=keep, mapping=mapping
        ),
    )


def assess(
    panel: PanelLike,
    *,
    patient: str | None = None,
    occasion: str | None = None,
    mapping: FileMap | str | Path | None = None,
    virtual_patients: int = twin.VIRTUAL_PATIENTS,
    knowledge: KnowledgeLike = None,
    engine: EngineLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> Assessment | CohortAssessment:
    """Read panels against references and infer the mechanism scores: of one patient, or of a cohort.

    Parameters
    ----------
    panel : whatever `read_panel` takes
    patient : str, optional
        Which patient of the file; without it a file of several is assessed as a cohort.
    occasion, mapping
        See `read_panel`.
    virtual_patients : int
        Size of the virtual population, which is computed once and kept.
    knowledge : Knowledge, path or sequence of paths, optional
        Folders of your own add to what ships.
    engine : Engine, "fast" or "reference", optional
    seed : int
        Fixes everything random.
    progress : bool or callable, optional
        True shows a bar; a function is called with words and the share done.

    Returns
    -------
    Assessment or CohortAssessment
        Mechanism scores are folds of a healthy adult, with 90 % intervals. `to_frame` gives a row per mechanism of one
        patient, a row per patient of a cohort.

    Raises
    ------
    PanelError
        If the panel cannot be read.
    TwinError
        If no virtual patient can explain the panel, or too few resemble the patient.

    References
    ----------
    Branchi et al. 2021, https://doi.org/10.1016/j.euroneuro.2020.11.016, for the mechanisms.

    Examples
    --------
    >>> import crosstalk
    >>> row = {"patient": "A", "age [a]": 40, "sex": "female", "BMI [kg/m2]": 31, "hsCRP [mg/L]": 6.0, "HAMD17": 22}
    >>> result = crosstalk.assess(row, virtual_patients=400)
    >>> list(result.to_frame().columns)[:5]
    ['patient', 'mechanism', 'name', 'unit', 'mean']
    """
    known = knowledge_of(knowledge)
    file = read_panel(panel, knowledge=known, batch=patient is None, occasion=occasion, mapping=mapping)
    alone = patient is not None or len(file.panels) == 1
    with engine_of(engine) as running, telling(progress, "assess") as say:
        if not alone:
            return assess_cohort(
                file, knowledge=known, engine=running, seed=seed, virtual_patients=virtual_patients, progress=say
            )
        one = reader.one_patient(file, patient)
        if say is not None:
            say(f"finding virtual patients who explain the panel of {one.patient}", math.nan)
        return twin.assess(one, knowledge=known, engine=running, seed=seed, virtual_patients=virtual_patients)


def forecast(
    panel: PanelLike,
    *,
    regimens: Sequence[str] = (),
    weeks: int = twin.WEEKS,
    scores: Sequence[EarlyScore | str] = (),
    on: str | None = None,
    patient: str | None = None,
    occasion: str | None = None,
    mapping: FileMap | str | Path | None = None,
    virtual_patients: int = twin.VIRTUAL_PATIENTS,
    knowledge: KnowledgeLike = None,
    engine: EngineLike = None,
    seed: int = 1,
    progress: Progress | bool | None = None,
) -> Forecast | CohortForecast:
    """Forecast one patient, or each of a cohort, under each regimen: a hypothesis, not advice.

    Parameters
    ----------
    panel : whatever `read_panel` takes
        Of several occasions of a patient, the first is the baseline and scores of later ones are scores seen early.
    regimens : sequence of str
        Ids, see ``crosstalk regimens``; all by default. The reference regimen is always added.
    weeks : int [weeks]
        Horizon, 1 to 104.
    scores : sequence of EarlyScore or str
        Scores seen early, as ``"week 2: HAMD17=17"``; of one patient.
    on : str, optional
        Regimen of the early scores; the reference by default.
    patient : str, optional
        Which patient of the file; without it each patient of a file of several is forecast.
    occasion, mapping
        See `read_panel`.
    virtual_patients, knowledge, engine, seed, progress
        See `assess`.

    Returns
    -------
    Forecast or CohortForecast
        `to_frame` gives a row per patient and regimen: change of the scale [points], chances of response and remission,
        difference to the reference [points], each with its 90 % interval.

    Raises
    ------
    PanelError
        If the panel cannot be read, or has no value.
    TwinError
        If no virtual patient can explain the panel, or too few the early scores.
    UsageError
        On an unknown regimen, an early score that does not fit, or a horizon or population that makes no sense.

    References
    ----------
    Branchi et al. 2021, https://doi.org/10.1016/j.euroneuro.2020.11.016; what each regimen rests on is in the result.

    Examples
    --------
    >>> import crosstalk
    >>> row = {"patient": "A", "age [a]": 40, "sex": "female", "BMI [kg/m2]": 31, "hsCRP [mg/L]": 6.0, "HAMD17": 22}
    >>> result = crosstalk.forecast(row, regimens=["placebo"], weeks=4, virtual_patients=400)
    >>> sorted(result.to_frame()["regimen"]), result.scale
    (['placebo', 'ssri'], 'HAMD17')
    """
    known = knowledge_of(knowledge)
    for name in (*regimens, *([on] if on else ())):
        known.regimen(name)
    early = [EarlyScore.read(s) if isinstance(s, str) else s for s in scores]
    file = read_panel(
        panel, knowledge=known, mapping=mapping,
        occasion=occasion if early or occasion or _chosen(mapping, known) else "each",
    )  # fmt: skip
    people = {p.person or p.patient for p in file.panels}
    course = any(p.visit for p in file.panels) and not (occasion or early)
    with engine_of(engine) as running, telling(progress, "forecast") as say:
        if patient is None and len(people) > 1:
            if early or on is not None:
                raise UsageError(
                    f"early scores are of one patient, and {file.path} holds {len(people)}; choose with --patient"
                )
            if course:
                raise UsageError(
                    f"{file.path}: holds several occasions of {len(people)} patients; choose with --patient, "
                    "whose occasions are then a course, or one occasion of each with --occasion"
                )
            return forecast_cohort(
                file, regimens=regimens, knowledge=known, engine=running, seed=seed,
                virtual_patients=virtual_patients, weeks=weeks, progress=say,
            )  # fmt: skip
        told: tuple[str, ...] = ()
        if course:
            baseline, more, told = course_of(file, patient, weeks=weeks, knowledge=known)
            early += more
        else:
            baseline = reader.one_patient(file, patient)
        found = twin.forecast(
            baseline, regimens=regimens, scores=early, on=on, knowledge=known, engine=running, seed=seed,
            virtual_patients=virtual_patients, weeks=weeks,
            progress=None if say is None else lambda words: say(words, math.nan),
        )  # fmt: skip
        return replace(found, notes=(*told, *found.notes)) if told else found


def _chosen(mapping: FileMap | str | Path | None, known: Knowledge) -> bool:
    """Whether a map says which occasion is meant."""
    if mapping is None:
        return False
    read = mapping if isinstance(mapping, FileMap) else FileMap.read(mapping, known)
    return bool(read.occasion)
