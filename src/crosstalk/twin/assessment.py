"""The panel read against references, the mechanism scores it implies, and how well the model knows such a patient."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import Problem
from crosstalk.engine.steady import linearize
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Measurement, Panel
from crosstalk.panel.references import ends, position
from crosstalk.twin.clinical import bands_of
from crosstalk.twin.likelihood import KERNEL, tail_probability
from crosstalk.twin.posterior import FEWEST, Posterior
from crosstalk.twin.records import Applicability, Interval, MechanismScore, ProfileItem, Reference, Surprise
from crosstalk.twin.relations import indications
from crosstalk.twin.sentences import reading
from crosstalk.twin.summary import log_fold_interval

__all__ = ["applicability", "healthy_scores", "mechanism_scores", "profile"]

Array = NDArray[np.float64]

OUTSIDE_TAIL, EDGE_TAIL = 0.01, 0.05
OUTSIDE_SAMPLE, EDGE_SAMPLE = FEWEST, 30.0


def profile(
    panel: Panel, posterior: Posterior, knowledge: Knowledge, *, history: bool = False
) -> tuple[ProfileItem, ...]:
    """Every measurement with its reference range and the posterior prediction, in the order of the knowledge base.

    ``history`` where earlier failures are used.
    """
    fitted, told = {o.analyte: o for o in posterior.fit.observed}, posterior.fit.told
    person = {k: m.value for k, m in panel.measurements.items() if m.quality != "failed"}
    items = []
    for analyte in knowledge.analytes.values():
        measurement = panel.measurements.get(analyte.id)
        if measurement is None:
            continue
        predicted: Interval | None = None
        use: Literal["fitted", "covariate", "score", "related", "history", "failed", "shown"] = "shown"
        if measurement.quality == "failed":
            use = "failed"
        elif analyte.id in fitted:
            o = fitted[analyte.id]
            predicted = log_fold_interval(posterior.population.outputs[o.variable] * o.factor, posterior.weight)
            use = "fitted"
        elif analyte.kind == "covariate" and analyte.covariate in _known(posterior):
            use = "covariate"
        elif analyte.id == posterior.scale.id:
            use = "score"
        elif analyte.id in told:
            use = "related"
        elif analyte.id == "failed_trials" and history:
            use = "history"
        placed = position(analyte, measurement, sex=person.get("sex"), age=person.get("age"), bmi=person.get("BMI"))
        found = placed.range
        reference = None
        if found is not None:
            reference = Reference(
                found.median, found.p2_5, found.p97_5, found.assay, found.specimen, found.source.doi, found.source.place
            )
        items.append(
            ProfileItem(
                analyte.id, analyte.name, measurement.value, analyte.unit, measurement.censored, measurement.given,
                placed.where, placed.percentile, reference, use, predicted, _note(measurement), measurement.upper,
                placed.lo90, placed.hi90, _stratum(measurement),
            )
        )  # fmt: skip
    return tuple(items)


def _stratum(measurement: Measurement) -> str:
    """Clinical stratum of a laboratory value, whatever the fluid is called; none where it failed or may lie in two."""
    bands = bands_of(measurement.analyte)
    if bands is None or measurement.quality == "failed":
        return ""
    band = bands.between(*ends(measurement))
    return f"{band.label} {bands.unit}: {band.words}" if band and band.label else ""


def _known(posterior: Posterior) -> set[str]:
    return {*posterior.population.parameters, *posterior.population.covariates}


def _note(measurement: Measurement) -> str:
    censored = {
        "left": "below the limit of detection",
        "right": "above the upper limit",
        "interval": "known to lie between two limits",
    }
    words = [censored[measurement.censored]] if measurement.censored else []
    if measurement.quality == "failed":
        words.append("failed quality control and not used")
    elif measurement.quality == "doubtful":
        words.append("doubtful by quality control, used as it stands")
    return "; ".join([*words, *measurement.remarks])


def mechanism_scores(
    posterior: Posterior, knowledge: Knowledge, panel: Panel | None = None
) -> tuple[MechanismScore, ...]:
    """The five scores with their intervals, beside those of the whole virtual population, and what each is told by.

    Of a score that no laboratory value of the panel informs, nothing is said but what covariates alone suggest.
    """
    healthy = healthy_scores(knowledge)
    names = () if panel is None else _covariates(panel, knowledge)
    found = []
    scores, alone = posterior.scores, posterior.alone
    for j, definition in enumerate(knowledge.scores.values()):
        everyone = posterior.population.outputs[definition.output]
        own = Interval(float(scores.mean[0, j]), float(scores.low[0, j]), float(scores.high[0, j]))
        told = float(scores.told[0, j])
        by_covariates = min(float(alone.told[0, j]), told)
        without = None
        if names:
            without = Interval(float(alone.mean[0, j]), float(alone.low[0, j]), float(alone.high[0, j]))
        # the place in the window is read against the optimum itself, the other scores against health
        found.append(
            MechanismScore(
                definition.id, definition.name, definition.unit, own.mean, own.lo90, own.hi90,
                healthy[definition.output], log_fold_interval(everyone), told,
                reading(definition, own, without, (told - by_covariates, by_covariates), names),
                told - by_covariates, by_covariates, without,
            )
        )  # fmt: skip
    return tuple(found)


def _covariates(panel: Panel, knowledge: Knowledge) -> tuple[str, ...]:
    """What tells of the scores beside laboratory values: covariates that virtual patients are alike in, and answers."""
    alike = [name for name in panel.measurements if knowledge.analytes[name].covariate in KERNEL]
    return (*alike, *indications(panel))


def healthy_scores(knowledge: Knowledge) -> dict[str, float]:
    """Mechanism scores of the healthy adult, by the variable that gives them."""
    outputs = tuple(dict.fromkeys(d.output for d in knowledge.scores.values()))
    here = linearize(Problem(assemble((), knowledge).sbml, 1, outputs=outputs))
    return {name: float(values[0]) for name, values in here.outputs.items()}


def applicability(panel: Panel, posterior: Posterior, knowledge: Knowledge) -> Applicability:
    """How far the patient lies from the virtual patients that the model knows."""
    population = posterior.population
    surprises = [Surprise(o.analyte, tail_probability(o, population.outputs)) for o in posterior.fit.observed]
    table = {**population.parameters, **population.covariates}
    covariates = [
        a
        for a in knowledge.analytes.values()
        if a.kind == "covariate" and a.covariate in table and a.id in panel.measurements
    ]
    for analyte in covariates:
        if analyte.covariate != "female":
            measurement = panel.measurements[analyte.id]
            below = float(np.mean(table[analyte.covariate] <= measurement.value))
            surprises.append(Surprise(analyte.id, 2 * min(below, 1 - below)))
    surprises.sort(key=lambda s: s.tail_probability)
    # of the most unusual of all values, so that a long panel is unusual no more often than a short one (Sidak 1967,
    # doi 10.1080/01621459.1967.10482935)
    lowest = 1 - (1 - surprises[0].tail_probability) ** len(surprises) if surprises else 1.0
    sample = posterior.effective_sample
    missing = tuple(
        a.id
        for a in sorted(knowledge.analytes.values(), key=lambda a: a.cost_rank)
        if a.kind == "laboratory" and a.observable and a.cost_rank > 0 and a.id not in panel.measurements
    )
    level: Literal["inside", "edge", "outside"]
    if lowest < OUTSIDE_TAIL or sample < OUTSIDE_SAMPLE:
        level = "outside"
        message = (
            "The patient lies outside the virtual patients that the model knows; the forecast is an extrapolation."
        )
    elif lowest < EDGE_TAIL or sample < EDGE_SAMPLE:
        level = "edge"
        message = "The patient lies at the edge of the virtual patients that the model knows."
    else:
        level = "inside"
        message = "The patient lies among the virtual patients that the model knows."
    if surprises and lowest < EDGE_TAIL:
        message += (
            f" The most unusual value is {surprises[0].analyte} (tail probability {surprises[0].tail_probability:.2g})."
        )
    if not posterior.fit.observed:
        names = ", ".join(_covariates(panel, knowledge))
        message += " The panel holds no laboratory value that the model predicts: the scores are those of " + (
            f"virtual patients alike in {names}." if names else "the population."
        )
    return Applicability(
        level, sample, len(population), tuple(surprises), missing, message,
    )  # fmt: skip
