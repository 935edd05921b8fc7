"""Which further assay would narrow the choice most: expected fall of the variance of a benefit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosstalk.knowledge.loader import Knowledge
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.estimate import Estimator
from crosstalk.twin.library import Twins
from crosstalk.twin.likelihood import observation
from crosstalk.twin.records import NextAssay

__all__ = ["expected_reduction", "next_assays"]

Array = NDArray[np.float64]

SOME = 400  # virtual patients of equal weight who stand for all: every pair of them is looked at
STREAM = 22  # of chance, beside the seed


def expected_reduction(benefit: Array, signal: Array, noise_sd: float, rng: np.random.Generator) -> float:
    """Share by which measuring a signal is expected to reduce the variance of the benefit.

    For each draw a measurement is simulated; the others are weighted by how well they explain it; the variance of the
    benefit under these weights is averaged. A draw never explains its own measurement.

    Parameters
    ----------
    benefit : array, shape (n,)
    signal : array, shape (n,)
        What would be measured, on the scale on which its error is normal.
    noise_sd : float
        Standard deviation of that error.

    Returns
    -------
    float
        Between 0 and 1; 0 also where the estimate is below its own chance level.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> x = rng.standard_normal(400)
    >>> expected_reduction(x, x, 0.1, rng) > 0.9
    True
    """
    n = len(benefit)
    if n < 20:
        return 0.0
    total = float(np.var(benefit))
    if total <= 0:
        return 0.0
    measured = signal + noise_sd * rng.standard_normal(n)
    log_weight = -0.5 * ((measured[:, None] - signal[None, :]) / noise_sd) ** 2
    np.fill_diagonal(log_weight, -np.inf)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ benefit
    # squared error of predicting each draw's benefit from the others: honest about few effective neighbours
    error = float(np.mean((benefit - mean) ** 2))
    return float(np.clip(1 - error / total, 0.0, 1.0))


def next_assays(
    twins: Twins, estimator: Estimator, fit: Usable, gain: Array, knowledge: Knowledge, *, at_most: int = 8
) -> tuple[NextAssay, ...]:
    """Rank the laboratory analytes that the panel lacks.

    Parameters
    ----------
    fit : Usable
        What the panel holds.
    gain : array, shape (n,)
        Difference between the two best regimens in each virtual patient.
    """
    # some of equal weight; one drawn twice would explain his own measurement
    place = np.cumsum(estimator.calibrated)
    rows = np.unique(np.minimum(np.searchsorted(place, (np.arange(SOME) + 0.5) / SOME), len(place) - 1))
    taken = {knowledge.analytes[o.analyte].observable for o in fit.observed}
    found = []
    for analyte in knowledge.analytes.values():
        if analyte.kind != "laboratory" or not analyte.observable or analyte.observable in taken:
            continue
        o = observation(analyte, 1.0, "", knowledge)
        signal = np.log(np.maximum(twins.patients.outputs[o.variable][rows], 1e-300))
        rng = np.random.default_rng([twins.patients.seed, STREAM])
        found.append(NextAssay(analyte.id, analyte.name, expected_reduction(gain[rows], signal, o.log_sd, rng)))
    ranked: Sequence[NextAssay] = sorted(found, key=lambda a: -a.variance_reduction)
    return tuple(ranked[:at_most])
