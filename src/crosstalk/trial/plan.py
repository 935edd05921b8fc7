"""What the file of a trial plans: its design, what screening measures, what a participant can get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crosstalk.errors import TrialError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.study.design import Design
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Arm, Study
from crosstalk.study.schema import read_study
from crosstalk.trial.assumed import sized

__all__ = ["design_of", "observed_analytes", "read_trial", "throughout", "treatments"]


def read_trial(path: str | Path, knowledge: Knowledge) -> Study:
    """Read a study file that holds a trial; the number of patients is solved for where the file gives none.

    Raises
    ------
    StudyError
        If the file breaks its schema or the design cannot be carried out.
    TrialError
        If there is no table ``[trial]``.
    """
    study = read_study(path, knowledge)
    try:
        return replace(study, trial=sized(design_of(study)))
    except TrialError as error:
        raise TrialError(f"{path}: {error}") from None


def design_of(study: Study) -> Design:
    """The design of a study.

    Raises
    ------
    TrialError
        If it has none.
    """
    if study.trial is None:
        raise TrialError(
            f"study '{study.id}': has no table [trial]; add one that says how many are randomised and how the trial is "
            "analysed, or run `crosstalk simulate`"
        )
    return study.trial


def observed_analytes(study: Study, knowledge: Knowledge) -> tuple[str, ...]:
    """Analytes and covariates that a trial measures at screening."""
    design = design_of(study)
    names = [e.analyte for e in study.population.eligible if e.analyte not in knowledge.scales]
    names += [design.marker.analyte] if design.marker else []
    names += [s.analyte for s in design.strata if s.analyte not in knowledge.scales]
    names += [c for a in design.analyses for c in a.covariates if c != "prognosis"]
    names += ["age", "sex", "BMI"]
    return tuple(dict.fromkeys(names))


def treatments(study: Study, design: Design) -> tuple[Arm, ...]:
    """What a participant could get: the arms, or the two sequences of a crossover; doses follow the lead-in.

    The first sequence begins with the first arm of the study, the second with the second.
    """
    if design.crossover is not None:
        first, second = study.arms
        period, gap = design.crossover.period_h / HOURS_PER_WEEK, design.crossover.washout_h / HOURS_PER_WEEK
        arms = []
        for one, other in ((first, second), (second, first)):
            doses = (*_until(one.doses, period), *_later(_until(other.doses, period), period + gap))
            arms.append(replace(one, id=f"{one.id}-{other.id}", doses=doses))
        return tuple(arms)
    if design.lead_in is None:
        return study.arms
    weeks = design.lead_in.duration_h / HOURS_PER_WEEK
    return tuple(replace(arm, doses=_later(arm.doses, weeks)) for arm in study.arms)


def throughout(study: Study, design: Design) -> tuple[Arm, ...]:
    """The control without a change to the other arm, with which a crossover's sequences are compared."""
    return () if design.crossover is None else tuple(a for a in study.arms if a.id == design.control)


def _later(doses: Sequence[Dose], weeks: float) -> tuple[Dose, ...]:
    return tuple(
        replace(
            d,
            weeks=tuple(w + weeks for w in d.weeks),
            start_week=d.start_week + weeks,
            stop_week=None if d.stop_week is None else d.stop_week + weeks,
        )
        for d in doses
    )


def _until(doses: Sequence[Dose], week: float) -> tuple[Dose, ...]:
    """Doses of one period; none after its end."""
    kept = []
    for d in doses:
        if d.every_h is None:
            weeks = tuple(w for w in d.weeks if w < week)
            if weeks:
                kept.append(replace(d, weeks=weeks))
        elif d.start_week < week:
            kept.append(replace(d, stop_week=week if d.stop_week is None else min(d.stop_week, week)))
    return tuple(kept)
