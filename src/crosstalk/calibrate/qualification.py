"""Everything that belongs to a credibility report, from one calibration."""

from __future__ import annotations

from dataclasses import dataclass

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
from crosstalk.calibrate.validation import PRIOR_DRAWS, Validation, validate
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge

__all__ = ["Qualification", "qualify"]


SUPPORT_WORLDS = 40  # worlds in which the patients behind each target are counted


@dataclass(frozen=True)
class Qualification:
    """A calibration with all that judges it.

    ``fit`` holds the results that it was calibrated on, under the posterior, ``validation`` those it never saw; both
    with the published errors, and beside the same rivals.
    """

    calibration: Calibration
    fit: Validation
    validation: Validation
    contractions: tuple[Contraction, ...]
    confoundings: tuple[Confounding, ...]
    profiles: tuple[Profile, ...]
    bins: tuple[Bin, ...]
    effective: tuple[EffectiveSample, ...]
    duplicates: tuple[tuple[str, str], ...]


def qualify(
    calibration: Calibration,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    draws: int = 200,
    patients: int = 100,
    prior_draws: int = PRIOR_DRAWS,
    progress: Progress | None = None,
) -> Qualification:
    """Judge a calibration.

    Fitted and held-out results are judged alike, on virtual patients that the calibration has not seen, with their
    published errors: the discounts for mismatch, assay and bias that the calibration gave them are left out.

    Parameters
    ----------
    draws : int
        Draws of the posterior.
    patients : int
        Virtual patients of each study in each draw; half as many for the studies that were fitted, which are many.
    prior_draws : int
        Draws of the prior for the prior predictive.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    worlds = calibration.worlds.sample(seed, draws)

    def part(first: float, share: float) -> Progress | None:
        return None if progress is None else lambda words, done: progress(words, first + share * done)

    fitted, unseen = (
        validate(
            studies, worlds, knowledge=knowledge, engine=engine, seed=seed, patients=number,
            prior_draws=prior_draws, progress=part(first, share),
        )
        for studies, number, first, share in (
            (calibration.targets.studies, max(patients // 2, 4), 0.0, 0.5),
            (studies_of("validate", knowledge), patients, 0.5, 0.3),
        )
    )  # fmt: skip
    names = load_bearing(calibration)
    return Qualification(
        calibration,
        fitted,
        unseen,
        contractions(calibration),
        confounded(calibration),
        profiles(calibration, names),
        _support(calibration, knowledge, engine, part(0.8, 0.2)),
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
