"""The posterior of one patient: the virtual population, weighed by how well each of its members explains the panel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.panel.records import Measurement, Panel
from crosstalk.population.cache import virtual_population
from crosstalk.population.patients import Patients
from crosstalk.statistics.weighted import effective_sample
from crosstalk.twin.cohort_weights import Scores, Usable, Weigher
from crosstalk.twin.likelihood import observations, tail_probability
from crosstalk.twin.relations import indications

__all__ = ["FEWEST", "Posterior", "covariates_of", "infer", "scale_of", "score_of", "twin_outputs"]

Array = NDArray[np.float64]

FEWEST = 5.0  # effective sample below which nothing is said of a patient (assumed)


@dataclass(frozen=True)
class Posterior:
    """The virtual population with the weights that it has for one real patient.

    Attributes
    ----------
    population : Patients
        Those with a valid baseline.
    log_weight : array, shape (n,)
        By the panel's values and covariates, up to a constant; the baseline score has no part in it.
    fit : Usable
        What the weights use of the panel.
    scores : Scores
        Mechanism scores under these weights.
    scale : Scale
        The symptom scale of the forecast.
    recorded : float or None [points]
        Baseline score as recorded; None if the panel holds none.
    alone : Scores
        Those of covariates and answers without any laboratory value.
    """

    population: Patients
    log_weight: Array
    fit: Usable
    scores: Scores
    scale: Scale
    recorded: float | None
    alone: Scores

    @property
    def effective_sample(self) -> float:
        """How many virtual patients resemble the patient."""
        return effective_sample(self.log_weight)

    @property
    def weight(self) -> Array:
        """Weights that sum to 1, shape (n,)."""
        weight = np.exp(self.log_weight - self.log_weight.max())
        return np.asarray(weight / weight.sum())


def twin_outputs(knowledge: Knowledge) -> tuple[str, ...]:
    """Model variables that a twin needs at baseline: observables of all analytes, and the mechanism scores."""
    observables = {a.observable for a in knowledge.analytes.values() if a.kind == "laboratory" and a.observable}
    return tuple(sorted(observables | {s.output for s in knowledge.scores.values()}))


def covariates_of(panel: Panel, knowledge: Knowledge) -> dict[str, float]:
    """Covariates that the panel fixes, by the name they have in the population."""
    known = {}
    for measurement in panel.measurements.values():
        analyte = knowledge.analytes[measurement.analyte]
        if analyte.kind == "covariate" and analyte.covariate and not (measurement.censored or _failed(measurement)):
            known[analyte.covariate] = measurement.value
    return known


def score_of(panel: Panel, knowledge: Knowledge) -> tuple[Scale, float] | None:
    """The baseline score of a panel: of the first scale of the knowledge base that it holds."""
    for scale in knowledge.scales.values():
        measurement = panel.measurements.get(scale.id)
        if measurement is not None and not _failed(measurement):
            return scale, measurement.value
    return None


def _failed(measurement: Measurement) -> bool:
    return measurement.quality == "failed"


def scale_of(panel: Panel, knowledge: Knowledge, diagnosis: str = "mdd") -> Scale:
    """The scale of a forecast: that of the panel's baseline score, or the one of the diagnosis."""
    found = score_of(panel, knowledge)
    return found[0] if found is not None else knowledge.scales[knowledge.diagnosis(diagnosis).scale]


def infer(
    panel: Panel,
    knowledge: Knowledge,
    engine: Engine,
    *,
    seed: int,
    virtual_patients: int,
    worlds: int,
    diagnosis: str = "mdd",
) -> Posterior:
    """Weigh the virtual population for one patient.

    Parameters
    ----------
    virtual_patients : int
        Size of the virtual population, which is computed once and kept.
    worlds : int
        Draws of what is not known that it is spread over.

    Raises
    ------
    TwinError
        If no virtual patient can explain the panel at all, or too few resemble the patient.
    """
    population = virtual_population(
        knowledge, engine, diagnosis=diagnosis, n=virtual_patients, worlds=worlds, seed=seed,
        outputs=twin_outputs(knowledge),
    )  # fmt: skip
    population = population.take(np.flatnonzero(population.ok))
    usable = Usable(observations(panel, knowledge), covariates_of(panel, knowledge), indications(panel))
    weigher = Weigher(population, [usable, replace(usable, observed=())], knowledge)
    with np.errstate(invalid="ignore"):
        fit = weigher.log_weights([0])[0]
    fit = np.where(np.isfinite(fit), fit, -np.inf)
    if not np.isfinite(fit).any():
        raise TwinError(
            f"patient {panel.patient}: no virtual patient can explain the panel; check the values and their units"
        )
    sample = effective_sample(fit)
    if sample < FEWEST:
        odd = sorted((tail_probability(o, population.outputs), o.analyte) for o in usable.observed)
        named = f"; the most unusual value is {odd[0][1]} (tail probability {odd[0][0]:.2g})" if odd else ""
        raise TwinError(
            f"patient {panel.patient}: {sample:.1f} of {len(population)} virtual patients resemble this one, fewer "
            f"than {FEWEST:g}: too few to speak of{named}. Check the values and their units, or ask for more with "
            "--virtual-patients"
        )
    score, scores = score_of(panel, knowledge), weigher.scores()
    return Posterior(
        population, fit, usable, scores.of([0]), scale_of(panel, knowledge, diagnosis), score[1] if score else None,
        scores.of([1 if usable.observed else 0]),
    )  # fmt: skip
