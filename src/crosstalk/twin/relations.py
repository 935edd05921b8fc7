"""What questionnaires tell of a patient's unknowns, by published correlations; and what was given and not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Source
from crosstalk.limits import read_toml
from crosstalk.panel.records import Panel
from crosstalk.panel.vocabulary import beside, is_none
from crosstalk.population.latent import Latent

__all__ = ["Relation", "indications", "relation_fit", "relations", "unused", "unused_of_many"]

Array = NDArray[np.float64]

CUT = 3.0  # spreads beyond which an answer says no more (assumed)


@dataclass(frozen=True, slots=True)
class Relation:
    """How an answer depends on an unknown of the patient.

    Attributes
    ----------
    analyte, unknown : str
    center, spread : float [unit of the analyte]
        Of the answers of depressed patients.
    correlation : float
        With the normal score of the unknown.
    population, source : Source
        Of the first two, and of the third.
    """

    analyte: str
    unknown: str
    center: float
    spread: float
    correlation: float
    population: Source
    source: Source


@cache
def relations() -> Mapping[str, Relation]:
    """The relations of ``relations.toml`` by analyte."""
    table = read_toml(Path(__file__).with_name("relations.toml").read_text(encoding="utf-8"))
    return {
        name: Relation(
            name, r["unknown"], float(r["center"]), float(r["spread"]), float(r["correlation"]),
            Source(**r["population"]), Source(**r["source"]),
        )
        for name, r in table.items()
    }  # fmt: skip


def indications(panel: Panel) -> dict[str, float]:
    """Answers of a panel that tell of an unknown, by analyte."""
    found = {name: panel.measurements[name] for name in relations() if name in panel.measurements}
    return {name: m.value for name, m in found.items() if not m.censored and m.quality != "failed"}


def relation_fit(coordinates: Array, latent: Latent, given: Mapping[str, float]) -> Array:
    """Log likelihood of answers, shape (n,), up to a constant.

    Parameters
    ----------
    coordinates : array, shape (n, n_variables)
        Of virtual patients in the latent space.
    latent : Latent
        Where the unknown is no variable of the population, an answer says nothing.
    given : mapping of str to float
        See `indications`.

    Examples
    --------
    >>> from crosstalk.knowledge.loader import load_knowledge
    >>> from crosstalk.population.latent import latent_space
    >>> latent = latent_space(load_knowledge().diagnosis("mdd"))
    >>> high = np.zeros((2, len(latent.names)))
    >>> high[1] = np.linalg.solve(latent.factor, [float(name == "stress") for name in latent.names])
    >>> fit = relation_fit(high, latent, {"PSS10": 37.0})
    >>> bool(fit[1] > fit[0])
    True
    """
    total = np.zeros(len(coordinates))
    for name, value in given.items():
        r = relations()[name]
        if r.unknown not in latent.names:
            continue
        z = coordinates @ latent.factor[latent.names.index(r.unknown)]
        y = float(np.clip((value - r.center) / r.spread, -CUT, CUT))
        total += -0.5 * (y - r.correlation * z) ** 2 / (1 - r.correlation**2)
    return total


def unused(panel: Panel, knowledge: Knowledge, *, history: bool) -> tuple[str, ...]:
    """What is given and not used, and what stands in its place; one sentence each.

    Parameters
    ----------
    history : bool
        Whether earlier failures are used: in a forecast.
    """
    found = []
    for column, text in panel.extra.items():
        kind = beside(column)
        if not kind or is_none(text):
            continue
        words = f"{column} ({text})"
        if kind == "medication":
            found.append(
                f"{words} is given and not used: the patient is taken as untreated at baseline, and what the "
                f"medication does to values and symptoms is read as his own state."
            )
        elif kind == "contraceptives":
            found.append(
                f"{words} is given and not used: hormones can raise CRP, which is read as inflammation and as the "
                f"patient's own level of CRP instead."
            )
        else:
            found.append(f"{words} is given and not used: the population's spread of CRP stands for it.")
    steps = panel.measurements.get("failed_trials")
    if steps is not None and steps.value > 0 and not history:
        found.append(
            f"{steps.value:g} failed trials are given and not used by the scores: a forecast weighs virtual patients "
            f"by them."
        )
    shown = _shown(panel, knowledge)
    if shown:
        found.append(
            f"{', '.join(shown)}: shown and not used, since the model does not predict them; what they would tell is "
            f"inferred from the fitted values and the population."
        )
    return tuple(found)


def unused_of_many(panels: Sequence[Panel], knowledge: Knowledge) -> tuple[str, ...]:
    """What is given and not used by the scores of a cohort, with how many patients; one sentence, or none."""
    found: Counter[str] = Counter()
    for panel in panels:
        found.update(column for column, text in panel.extra.items() if beside(column) and not is_none(text))
        steps = panel.measurements.get("failed_trials")
        found.update([*_shown(panel, knowledge), *(["failed_trials"] if steps is not None and steps.value > 0 else [])])
    if not found:
        return ()
    listed = ", ".join(f"{name} ({n})" for name, n in found.most_common())
    return (
        f"Given and not used by the scores, with the number of patients: {listed}. What they would tell is inferred "
        f"from the fitted values and the population; failed trials are used by a forecast.",
    )


def _shown(panel: Panel, knowledge: Knowledge) -> list[str]:
    """Laboratory values that the model does not predict."""
    return [
        a.id for name, m in panel.measurements.items()
        if (a := knowledge.analytes[name]).kind == "laboratory" and not a.observable and m.place
    ]  # fmt: skip
