"""Values that follow from others: ratios of cell counts, BMI, HOMA-IR, kynurenine over tryptophan."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from crosstalk.panel.records import Measurement
from crosstalk.panel.vocabulary import FED, fasting

__all__ = ["DERIVED", "derive"]


class Rule(NamedTuple):
    """How an analyte follows from others, each in its own unit of the knowledge base."""

    inputs: tuple[str, ...]
    value: Callable[..., float]
    words: str


def _bmi(weight: float, height: float) -> float:
    return weight / (height / 100) ** 2


def _ratio(over: float, under: float) -> float:
    return over / under


def _per_thousand(over: float, under: float) -> float:
    return 1000 * over / under


def _homa(glucose: float, insulin: float) -> float:
    return glucose * insulin / 405


def _part(percent: float, whole: float) -> float:
    return percent / 100 * whole


def _cells(percent: float, lymphocytes: float) -> float:
    return 10 * percent * lymphocytes  # 10*9/L is 1000 cells/uL


def _sii(platelets: float, neutrophils: float, lymphocytes: float) -> float:
    return platelets * neutrophils / lymphocytes


DERIVED: Mapping[str, Rule] = {
    # the CD4 count comes before the subsets that need it
    "CD4": Rule(("CD4/lymphocytes", "lymphocytes"), _cells, "share of CD4 cells times lymphocytes"),
    "Th1": Rule(("Th1/CD4", "CD4"), _part, "share of CD4 cells times CD4 cells"),
    "Th17": Rule(("Th17/CD4", "CD4"), _part, "share of CD4 cells times CD4 cells"),
    "Treg": Rule(("Treg/CD4", "CD4"), _part, "share of CD4 cells times CD4 cells"),
    "BMI": Rule(("weight", "height"), _bmi, "weight over height squared"),
    "NLR": Rule(("neutrophils", "lymphocytes"), _ratio, "neutrophils over lymphocytes"),
    "MLR": Rule(("monocytes", "lymphocytes"), _ratio, "monocytes over lymphocytes"),
    "PLR": Rule(("platelets", "lymphocytes"), _ratio, "platelets over lymphocytes"),
    "SII": Rule(("platelets", "neutrophils", "lymphocytes"), _sii, "platelets times neutrophils over lymphocytes"),
    "KYN/TRP": Rule(("kynurenine", "tryptophan"), _per_thousand, "kynurenine over tryptophan"),
    "HOMA-IR": Rule(("glucose", "insulin"), _homa, "fasting glucose [mg/dL] times insulin [uIU/mL] over 405"),
}


def derive(measurements: Mapping[str, Measurement], known: Container[str]) -> tuple[dict[str, Measurement], list[str]]:
    """Values that follow from others and that the panel does not hold, with a note each.

    Parameters
    ----------
    measurements : mapping of analyte to Measurement
    known : container of str
        Analytes of the knowledge base; others are not computed.

    Returns
    -------
    (dict of Measurement, list of str)
        Where an input is censored, zero, failed, not said to be fasting (HOMA-IR) or of another time than the rest,
        a note and no value.

    References
    ----------
    HOMA-IR: Matthews 1985, doi 10.1007/BF00280883. NLR, MLR, PLR in depression: Cheng 2022, doi
    10.3389/fpsyt.2022.893097. SII, systemic immune-inflammation index [10*9/L]: Hu 2014, doi
    10.1158/1078-0432.CCR-14-0442.

    Examples
    --------
    >>> counts = {"neutrophils": 4.2, "lymphocytes": 2.1}
    >>> found, notes = derive({k: Measurement(k, v) for k, v in counts.items()}, {"NLR"})
    >>> found["NLR"].value, notes
    (2.0, ['NLR 2 computed: neutrophils over lymphocytes.'])
    """
    found: dict[str, Measurement] = {}
    notes: list[str] = []
    for name, rule in DERIVED.items():
        have = {**measurements, **found}
        if name in measurements or name not in known or not all(n in have for n in rule.inputs):
            continue
        inputs = [have[n] for n in rule.inputs]
        obstacle = _obstacle(inputs)
        if obstacle:
            notes.append(f"{name} not computed: {obstacle}.")
            continue
        value = rule.value(*(m.value for m in inputs))
        doubtful = tuple(f"{m.analyte} is doubtful" for m in inputs if m.quality)
        found[name] = Measurement(
            name,
            value,
            "",
            rule.words,
            specimen=inputs[0].specimen if len({m.specimen for m in inputs}) == 1 else "",
            # a count from a share is one of the same gates
            method=inputs[0].method if rule.value is _part else "",
            time_h=inputs[0].time_h,
            quality="doubtful" if doubtful else "",
            remarks=doubtful,
        )
        notes.append(f"{name} {value:.3g} computed: {rule.words}.")
    return found, notes


def _obstacle(inputs: list[Measurement]) -> str:
    for m in inputs:
        if m.censored:
            return f"{m.analyte} ({m.given}) is no single number"
        if m.quality == "failed":
            return f"{m.analyte} failed quality control"
        if m.value <= 0:
            return f"{m.analyte} is 0"
        if m.analyte in FED and fasting(m.specimen) is not True:
            said = "was not taken fasting" if fasting(m.specimen) is False else "does not say that it was taken fasting"
            return f"{m.analyte} {said} (name it 'fasting {m.analyte}', or give a column fasting)"
    return "its inputs were taken at different times" if len({m.time_h for m in inputs}) > 1 else ""
