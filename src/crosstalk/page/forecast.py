"""The page's forecast in Python: the twin's own functions on the page's tables. The browser must give the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import ApplicabilityError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.page.data import PageData, library_of
from crosstalk.panel.records import Panel
from crosstalk.statistics.weighted import effective_sample
from crosstalk.twin.assessment import applicability, mechanism_scores
from crosstalk.twin.cohort_weights import Usable, Weigher
from crosstalk.twin.courses import benefit, forecast_regimens
from crosstalk.twin.library import CourseLibrary
from crosstalk.twin.likelihood import observations
from crosstalk.twin.next_assay import next_assays
from crosstalk.twin.posterior import FEWEST, Posterior, covariates_of, scale_of, score_of
from crosstalk.twin.records import Applicability, EarlyUpdate, Interval, MechanismScore, NextAssay, RegimenForecast
from crosstalk.twin.relations import indications
from crosstalk.twin.sequential import EarlyScore, Scores, early_scores, update
from crosstalk.twin.summary import interval

__all__ = ["PageForecast", "page_forecast"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PageForecast:
    """What the page shows of one patient; fields as in `crosstalk.twin.records.Forecast`.

    ``sample`` is the effective sample of all weights.
    """

    mechanisms: tuple[MechanismScore, ...]
    applicability: Applicability
    scale: str
    baseline: Interval
    regimens: tuple[RegimenForecast, ...]
    next_assay: tuple[NextAssay, ...]
    sample: float
    update: EarlyUpdate | None


def page_forecast(
    panel: Panel,
    data: PageData,
    knowledge: Knowledge,
    *,
    scores: Sequence[EarlyScore] = (),
    on: str | None = None,
    library: CourseLibrary | None = None,
) -> PageForecast:
    """Forecast one patient from the page's tables.

    Parameters
    ----------
    panel : Panel
        Earlier failures are not used: the page holds no courses of patients after them.
    scores : sequence of EarlyScore, optional
    on : str, optional
        Regimen of the early scores; the reference by default.
    library : CourseLibrary, optional
        `crosstalk.page.data.library_of` the data, where it is at hand.

    Raises
    ------
    ApplicabilityError
        If too few virtual patients resemble the patient.
    TwinError
        If no virtual patient can have the score, or too few explain the early scores.
    """
    library = library or library_of(data, knowledge)
    regimens = tuple(knowledge.regimen(r["id"]) for r in data.header["regimens"])
    reference = str(data.header["reference"])
    current = knowledge.regimen(on) if on else knowledge.regimen(reference)
    usable = Usable(observations(panel, knowledge), covariates_of(panel, knowledge), indications(panel))
    weigher = Weigher(library.population, [usable], knowledge)
    fit = weigher.log_weights([0])[0]
    _enough(effective_sample(fit), panel)
    alone = Weigher(library.population, [replace(usable, observed=())], knowledge).scores()
    score, scale = score_of(panel, knowledge), scale_of(panel, knowledge)
    recorded = score[1] if score else None
    posterior = Posterior(library.population, fit, usable, weigher.scores(), scale, recorded, alone)
    twins = library.twins(fit, usable, scale, recorded, f"patient {panel.patient}: ")
    early = Scores(scale, early_scores(scores, scale, knowledge, weeks=int(data.header["weeks"])))
    seen, told = update(twins, early, current) if early.seen else (None, None)
    estimator = twins.estimator(seen)
    _enough(estimator.sample, panel)
    found = forecast_regimens(twins, estimator, regimens, reference, early, current.id)
    order = sorted(found, key=lambda r: r.versus_reference.mean)
    gain = benefit(twins, order[0].id, order[min(1, len(order) - 1)].id)
    return PageForecast(
        mechanism_scores(posterior, knowledge, panel),
        applicability(panel, posterior, knowledge),
        scale.id,
        interval(twins.recorded, estimator.calibrated),
        found,
        next_assays(twins, estimator, usable, gain, knowledge, at_most=50),
        estimator.sample,
        told,
    )


def _enough(sample: float, panel: Panel) -> None:
    if sample < FEWEST:
        raise ApplicabilityError(
            f"patient {panel.patient}: an effective sample of {sample:.1f} virtual patients is left, fewer than "
            f"{FEWEST:g}: too few to draw anything from. Check the values and their units"
        )
