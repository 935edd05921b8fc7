"""Everything that belongs to a credibility report, from one calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crosstalk.calibrate.calibration import Calibration
from crosstalk.calibrate.forward import Forward, Progress
from crosstalk.calibrate.identifiability import (
    Confounding,
    Contraction,
    Profile,
    confounded,
    contractions,
    load_bearing,
    profiles,
)
from crosstalk.calibrate.support import Bin, EffectiveSample, bins, duplicates, effective_samples
from crosstalk.calibrate.targets import studies_of
from crosstalk.calibrate.validation import Validation, Verdict, judge, validate
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge

__all__ = ["Qualification", "fit", "qualify"]


SUPPORT_WORLDS = 40  # worlds in which the patients behind each target are counted


@dataclass(frozen=True)
class Qualification:
    """A calibration with all that judges it.

    ``fit`` holds the results that it was calibrated on, under the posterior, with the errors that the calibration gave
    them; ``validation`` those it never saw.
    """

    calibration: Calibration
    fit: tuple[Verdict, ...]
    validation: Validation
    contractions: tuple[Contraction, ...]
    confoundings: tuple[Confounding, ...]
    profiles: tuple[Profile, ...]
    bins: tuple[Bin, ...]
    effective: tuple[EffectiveSample, ...]
    duplicates: tuple[tuple[str, str], ...]


def fit(calibration: Calibration) -> tuple[Verdict, ...]:
    """Verdicts on the results that the calibration was given, with the errors that it gave them.

    The chance of finite numbers of patients is in the counterparts, so it is not added to the errors again.
    """
    found = []
    errors = np.sqrt(np.diag(calibration.targets.covariance) - calibration.plan.chance)
    for target, error, column in zip(calibration.targets.items, errors, calibration.after.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) >= 2:
            found.append(judge(replace(target, sampling=float(error)), known, "calibrate", None))
    return tuple(found)


def qualify(
    calibration: Calibration,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    draws: int = 200,
    patients: int = 100,
    progress: Progress | None = None,
) -> Qualification:
    """Judge a calibration.

    Parameters
    ----------
    draws : int
        Draws of the posterior for the results that were not fitted.
    patients : int
        Virtual patients of each study in each draw.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    worlds = calibration.worlds.sample(seed, draws)

    def part(first: float, share: float) -> Progress | None:
        return None if progress is None else lambda words, done: progress(words, first + share * done)

    judged = validate(
        studies_of("validate", knowledge), worlds, knowledge=knowledge, engine=engine, seed=seed, patients=patients,
        progress=part(0.0, 0.7),
    )  # fmt: skip
    names = load_bearing(calibration)
    return Qualification(
        calibration,
        fit(calibration),
        judged,
        contractions(calibration),
        confounded(calibration),
        profiles(calibration, names),
        _support(calibration, knowledge, engine, part(0.7, 0.3)),
        effective_samples(calibration),
        duplicates(calibration.targets),
    )


def _support(
    calibration: Calibration, knowledge: Knowledge, engine: Engine, progress: Progress | None
) -> tuple[Bin, ...]:
    """The patients behind each target that is about a stratum, in some worlds of the posterior."""
    c = calibration
    forward = Forward(knowledge, engine, seed=c.settings.seed, plan=c.plan.patients)
    worlds = c.worlds.take(np.arange(min(SUPPORT_WORLDS, c.settings.members)))
    found: list[Bin] = []
    for k, study in enumerate(c.targets.studies):
        strata = [t for t in c.targets.of_study(study) if t.result.stratum is not None]
        if progress is not None:
            progress(study.id, k / len(c.targets.studies))
        if strata:
            found += bins(forward.run(study, worlds), strata)
    return tuple(found)
