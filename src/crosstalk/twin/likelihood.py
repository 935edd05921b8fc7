"""How well a virtual patient explains a measured panel: log-normal errors, censored values kept as censored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Panel
from crosstalk.population.measure import analyte_log_sd, observable_factor

__all__ = ["Observation", "log_likelihood", "observations", "tail_probability"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured value that the model predicts.

    ``variable`` is the model's, ``factor`` takes it to the analyte's unit, ``log_sd`` is the error of one measurement
    around the person's usual level: assay, week-to-week variation and the offset between laboratories.
    """

    analyte: str
    variable: str
    factor: float
    value: float
    log_sd: float
    censored: Literal["", "left", "right"]

    def residual(self, predicted: Array) -> Array:
        """Standardised difference of the logarithms, shape of ``predicted``."""
        return np.asarray((np.log(self.value) - np.log(predicted * self.factor)) / self.log_sd)


def observation(
    analyte: Analyte, value: float, censored: Literal["", "left", "right"], knowledge: Knowledge
) -> Observation:
    """Make the observation of one analyte."""
    factor = observable_factor(assemble((), knowledge), analyte)
    log_sd = analyte_log_sd(analyte, between_assays=True)
    if log_sd <= 0:
        raise TwinError(f"analyte '{analyte.id}' has no measurement error; give assay_cv in analytes.toml")
    return Observation(analyte.id, analyte.observable, factor, value, log_sd, censored)


def observations(panel: Panel, knowledge: Knowledge) -> tuple[Observation, ...]:
    """The values of a panel that the model predicts, in the panel's order. A value of zero cannot be used."""
    found = []
    for measurement in panel.measurements.values():
        analyte = knowledge.analytes[measurement.analyte]
        if analyte.kind == "laboratory" and analyte.observable and measurement.value > 0:
            found.append(observation(analyte, measurement.value, measurement.censored, knowledge))
    return tuple(found)


def log_likelihood(observed: Sequence[Observation], outputs: Mapping[str, Array], n: int) -> Array:
    """Log likelihood of each patient, shape (n,); minus infinity where a prediction is missing."""
    total = np.zeros(n)
    for o in observed:
        z = o.residual(np.maximum(outputs[o.variable], 1e-300))
        if o.censored == "left":
            total += log_ndtr(z)
        elif o.censored == "right":
            total += log_ndtr(-z)
        else:
            total += -0.5 * z**2
    return np.where(np.isfinite(total), total, -np.inf)


def tail_probability(observed: Observation, outputs: Mapping[str, Array]) -> float:
    """Two-sided probability that a member of the virtual population would measure a value as extreme.

    One-sided for a censored value: the probability of a value below (above) the limit.
    """
    z = observed.residual(np.maximum(outputs[observed.variable], 1e-300))
    below = float(np.mean(ndtr(z)))
    if observed.censored == "left":
        return below
    if observed.censored == "right":
        return 1 - below
    return 2 * min(below, 1 - below)
