"""What a simulated trial rests on: effects of its drugs, its population, its measurements, its conduct."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Drug, Quantity, Source
from crosstalk.population.measure import FLUCTUATION_H
from crosstalk.study.records import Study
from crosstalk.trial.plan import design_of
from crosstalk.trial.visits import FADES_H, IMPROVED
from crosstalk.twin.records import Rest

__all__ = ["Basis", "basis"]


@dataclass(frozen=True, slots=True)
class Basis:
    """One thing that a result depends on, with its source; ``topic`` is drug, population, measurement or conduct."""

    topic: str
    what: str
    value: str
    rest: Rest


def basis(study: Study, knowledge: Knowledge) -> tuple[Basis, ...]:
    """List what a trial rests on, the effect of its drugs first.

    Examples
    --------
    >>> from crosstalk.knowledge.loader import load_knowledge
    >>> from crosstalk.study.schema import read_study
    >>> from crosstalk.trial.basis import basis
    >>> [b.what for b in basis(read_study("trial.toml"), load_knowledge())][:1]  # doctest: +SKIP
    ['minocycline: greatest effect on microglial_activity']
    """
    return (
        *_drugs(study, knowledge),
        *_population(study, knowledge),
        *_measurement(study, knowledge),
        *_conduct(study),
    )


def _drugs(study: Study, knowledge: Knowledge) -> Iterator[Basis]:
    given = dict.fromkeys(dose.drug for arm in study.arms for dose in arm.doses)
    for name in given:
        drug = knowledge.drug(name)
        yield from _effects(drug)
        for regimen in knowledge.regimens.values():
            if name in {dose.drug for dose in regimen.doses}:
                for source in regimen.evidence:
                    yield Basis("drug", f"{drug.name}: published result", regimen.name, _rest(source))
    for dose in study.population.background:
        if dose.drug not in given:
            text = f"{dose.amount:g} {dose.unit} by {dose.route}"
            yield Basis("drug", f"background: {dose.drug}", text, Rest("design", "", "the design file"))


def _effects(drug: Drug) -> Iterator[Basis]:
    for target in drug.targets:
        if target.maximum is not None:
            yield _quantity(f"{drug.name}: greatest effect on {_words(target.slot)}", target.maximum)
        yield _quantity(f"{drug.name}: half effect on {_words(target.slot)} at", target.half)
    if drug.into_state:
        yield Basis("drug", f"{drug.name}: given into", _words(drug.into_state), _rest(drug.usual_source))


def _quantity(what: str, quantity: Quantity) -> Basis:
    unit = "" if quantity.unit == "dimensionless" else f" {quantity.unit}"
    return Basis("drug", what, f"{quantity.value:g}{unit}", _rest(quantity.source))


def _population(study: Study, knowledge: Knowledge) -> Iterator[Basis]:
    people = study.population
    yield Basis("population", "diagnosis", people.diagnosis, Rest("design", "", f"population.toml: {people.diagnosis}"))
    named = dict(people.distributions)
    if people.severity is not None:
        named[f"severity ({people.severity_scale})"] = people.severity
    for name, found in named.items():
        if found.family == "bernoulli":
            text = f"{found.center:.0%}"
        elif found.family == "lognormal":
            text = f"median {found.center:.3g}, log-SD {found.spread:.2g}"
        else:
            text = f"mean {found.center:.3g}, SD {found.spread:.3g}"
        yield Basis("population", name, text, _rest(found.source))
    if people.failed_steps:
        text = "simulated under the background's usual course, those who did not respond are kept"
        yield Basis("population", "failed treatments", str(people.failed_steps), Rest("derived", "", text))


def _measurement(study: Study, knowledge: Knowledge) -> Iterator[Basis]:
    design = design_of(study)
    if design.marker is not None:
        analyte = knowledge.analytes[design.marker.analyte]
        text = f"assay CV {analyte.assay_cv:.0%}, week to week {analyte.within_cv:.0%}"
        yield Basis("measurement", f"{analyte.id} at screening", text, _rest(analyte.source))
    for name in dict.fromkeys(a.of for a in design.analyses):
        scale = knowledge.scales[name]
        yield Basis("measurement", f"{name}: error of raters", f"SD {scale.rater_sd:g} points", _rest(scale.source))
    weeks = f"forgotten within {FLUCTUATION_H / 168:g} weeks"
    yield Basis(
        "measurement", "fluctuation of symptoms", weeks, Rest("assumed", "", "visits of trials stay correlated")
    )


def _conduct(study: Study) -> Iterator[Basis]:
    conduct, file = design_of(study).conduct, Rest("assumed", "", "in the design file")
    yield Basis("conduct", "visits", f"within {conduct.visit_window_h / 24:g} days of their day", file)
    yield Basis("conduct", "visits missed", f"{conduct.missed_visits:.0%}", file)
    yield Basis("conduct", "patients who stop the drug unseen", f"{conduct.nonadherence:.0%}", file)
    yield Basis("conduct", "patients of the control arm who leave", f"{conduct.dropout:.0%}", file)
    if conduct.unimproved != 1.0:
        text = f"{conduct.unimproved:g} times as soon, with less than {IMPROVED:.0%} improvement"
        yield Basis("conduct", "the unimproved leave", text, file)
    for arm, ratio in conduct.side_effects.items():
        yield Basis("conduct", f"side effects of {arm}", f"leave {ratio:g} times as soon", file)
    if conduct.followed_up:
        yield Basis("conduct", "of those who leave, still seen", f"{conduct.followed_up:.0%}", file)
    text = f"with a time constant of {FADES_H / 24:g} days"
    yield Basis("conduct", "effect fades after the drug is stopped", text, Rest("assumed", "", "of the order of weeks"))


def _rest(source: Source) -> Rest:
    plain = source.place in ("assumed", "assumed for this design")
    return Rest(source.kind, source.doi, "in the design file" if plain else source.place)


def _words(slot: str) -> str:
    return slot.replace("_", " ")
