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
from crosstalk.panel.references import position
from crosstalk.twin.likelihood import tail_probability
from crosstalk.twin.posterior import FEWEST, Posterior
from crosstalk.twin.records import Applicability, Interval, MechanismScore, ProfileItem, Reference, Surprise
from crosstalk.twin.relations import indications
from crosstalk.twin.summary import log_fold_interval

__all__ = ["applicability", "healthy_scores", "mechanism_scores", "profile"]

Array = NDArray[np.float64]

# a score whose 90 % interval lies beyond these folds of health is called low or high
WITHIN = (0.8, 1.25)
BEYOND = 1.6  # times beyond `WITHIN` that an interval may reach and still be called that of health (assumed)
ALIKE = ("age", "female", "BMI", "height_cm")  # covariates that virtual patients are given
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
                placed.lo90, placed.hi90,
            )
        )  # fmt: skip
    return tuple(items)


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
    """The five scores with their intervals, beside those of the whole virtual population.

    Of a panel without any value that the model predicts, nothing is said but what stands in its place.
    """
    alone = "" if panel is None or posterior.fit.observed else _alone(panel, knowledge)
    healthy = healthy_scores(knowledge)
    found = []
    scores = posterior.scores
    for j, definition in enumerate(knowledge.scores.values()):
        everyone = posterior.population.outputs[definition.output]
        own = Interval(float(scores.mean[0, j]), float(scores.low[0, j]), float(scores.high[0, j]))
        # the place in the window is read against the optimum itself, the other scores against health
        low, high = WITHIN
        reading = definition.within
        if alone:
            reading = alone
        elif own.lo90 > high or (own.mean > high and own.lo90 > 1):
            reading = definition.high
        elif own.hi90 < low or (own.mean < low and own.hi90 < 1):
            reading = definition.low
        elif own.lo90 < low and own.hi90 > high:
            reading = "uncertain: the interval reaches from low to high"
        elif own.mean > high or own.hi90 > high * BEYOND:
            reading = "uncertain: the interval reaches from that of health to high"
        elif own.mean < low or own.lo90 < low / BEYOND:
            reading = "uncertain: the interval reaches from low to that of health"
        found.append(
            MechanismScore(
                definition.id, definition.name, definition.unit, own.mean, own.lo90, own.hi90,
                healthy[definition.output], log_fold_interval(everyone), float(scores.told[0, j]), reading,
            )
        )  # fmt: skip
    return tuple(found)


def _alone(panel: Panel, knowledge: Knowledge) -> str:
    """What stands in the place of a score that no laboratory value tells."""
    names = [knowledge.analytes[a].id for a in panel.measurements if knowledge.analytes[a].covariate in ALIKE]
    told = [*names, *indications(panel)]
    return f"not measured; it is what {', '.join(told)} alone suggest{'s' if len(told) == 1 else ''}" if told else (
        "not measured; it is that of the population"
    )  # fmt: skip


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
        names = ", ".join(a.id for a in covariates)
        message += " The panel holds no laboratory value that the model predicts: the scores are those of " + (
            f"virtual patients alike in {names}." if names else "the population."
        )
    return Applicability(
        level, sample, len(population), tuple(surprises), missing, message,
    )  # fmt: skip
