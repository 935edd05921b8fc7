"""How well a virtual patient explains a measured panel: log-normal errors, censored values kept as censored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Censoring, Panel
from crosstalk.population.measure import analyte_log_sd, observable_factor
from crosstalk.population.patients import Patients
from crosstalk.statistics.censored import log_interval_probability

__all__ = ["KERNEL", "Observation", "likeness", "log_likelihood", "observations", "tail_probability"]

Array = NDArray[np.float64]

# spread within which members of the virtual population count as alike in a covariate
KERNEL = {"BMI": 0.1, "age": 12.0, "height_cm": 8.0}


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured value that the model predicts.

    ``variable`` is the model's, ``factor`` takes it to the analyte's unit, ``log_sd`` is the error of one measurement
    around the person's usual level: assay, week-to-week variation and the offset between laboratories. ``upper`` is the
    upper end of an interval-censored value, whose lower end is ``value``.
    """

    analyte: str
    variable: str
    factor: float
    value: float
    log_sd: float
    censored: Censoring
    upper: float | None = None

    def __post_init__(self) -> None:
        if self.censored == "interval" and (self.upper is None or not 0 < self.value < self.upper):
            raise TwinError(
                f"{self.analyte}: received the interval {self.value:g} to {self.upper}; expected a positive lower end "
                f"below the upper one"
            )

    def residual(self, predicted: Array) -> Array:
        """Standardised difference of the logarithms, shape of ``predicted``; of an interval at its lower end."""
        return self._standardised(self.value, predicted)

    def upper_residual(self, predicted: Array) -> Array:
        """Standardised difference at the upper end of an interval; infinite where there is none."""
        return self._standardised(np.inf if self.upper is None else self.upper, predicted)

    def _standardised(self, value: float, predicted: Array) -> Array:
        return np.asarray((np.log(value) - np.log(predicted * self.factor)) / self.log_sd)


def observation(
    analyte: Analyte,
    value: float,
    censored: Censoring,
    knowledge: Knowledge,
    *,
    upper: float | None = None,
    assay_log_sd: float | None = None,
) -> Observation:
    """Make the observation of one analyte.

    Parameters
    ----------
    upper : float, optional
        Upper end of an interval.
    assay_log_sd : float, optional
        Uncertainty of this very value on the logarithm; it stands in place of the analyte's general ``assay_cv``.
    """
    factor = observable_factor(assemble((), knowledge), analyte)
    log_sd = analyte_log_sd(analyte, between_assays=True, assay_log_sd=assay_log_sd)
    if log_sd <= 0:
        raise TwinError(f"analyte '{analyte.id}' has no measurement error; give assay_cv in analytes.toml")
    return Observation(analyte.id, analyte.observable, factor, value, log_sd, censored, upper)


def observations(panel: Panel, knowledge: Knowledge) -> tuple[Observation, ...]:
    """The values of a panel that the model predicts, in the panel's order.

    A value of zero cannot be used, and one that failed quality control is not; a doubtful one is used as it stands. An
    interval that begins at zero is a value below its upper end.
    """
    found = []
    for measurement in panel.measurements.values():
        analyte = knowledge.analytes[measurement.analyte]
        if analyte.kind != "laboratory" or not analyte.observable or measurement.quality == "failed":
            continue
        value, censored, upper = measurement.value, measurement.censored, measurement.upper
        if censored == "interval" and value == 0 and upper is not None:
            value, censored, upper = upper, "left", None
        if value > 0:
            found.append(observation(analyte, value, censored, knowledge, upper=upper, assay_log_sd=measurement.log_sd))
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
        elif o.censored == "interval":
            total += log_interval_probability(z, o.upper_residual(np.maximum(outputs[o.variable], 1e-300)))
        else:
            total += -0.5 * z**2
    return np.where(np.isfinite(total), total, -np.inf)


def likeness(population: Patients, known: Mapping[str, float]) -> Array:
    """Log kernel of the covariates, shape (n,)."""
    table = {**population.parameters, **population.covariates}
    total = np.zeros(len(population))
    for name, value in known.items():
        if name in KERNEL and name in table:
            gap = np.log(table[name] / value) if name == "BMI" else table[name] - value
            # cut at five spreads, so that a patient outside the population still finds his nearest
            total += -0.5 * np.minimum((gap / KERNEL[name]) ** 2, 25.0 + 0.01 * (gap / KERNEL[name]) ** 2)
    return total


def tail_probability(observed: Observation, outputs: Mapping[str, Array]) -> float:
    """Two-sided probability that a member of the virtual population would measure a value as extreme.

    One-sided for a censored value: the probability of a value below (above) the limit. For an interval, the probability
    of a value in it or farther out on either side: an exact value and a one-sided limit are its limiting cases.
    """
    predicted = np.maximum(outputs[observed.variable], 1e-300)
    below = float(np.mean(ndtr(observed.residual(predicted))))
    if observed.censored == "left":
        return below
    if observed.censored == "right":
        return 1 - below
    if observed.censored == "interval":
        above = float(np.mean(ndtr(-observed.upper_residual(predicted))))
        return 1 - below - above + 2 * min(below, above)
    return 2 * min(below, 1 - below)
