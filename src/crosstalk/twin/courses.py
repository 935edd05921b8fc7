"""Forecast of one patient under each regimen, every virtual patient having run through every regimen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosstalk.knowledge.records import Regimen
from crosstalk.statistics.weighted import quantiles
from crosstalk.twin.estimate import Estimator
from crosstalk.twin.library import DIMENSIONS, Twins
from crosstalk.twin.records import Interval, RegimenForecast, Rest, Trajectory
from crosstalk.twin.sentences import verdict
from crosstalk.twin.sequential import Scores, outlook, record, recorded_mean

__all__ = ["benefit", "forecast_regimens"]

Array = NDArray[np.float64]


def benefit(twins: Twins, regimen: str, reference: str) -> Array:
    """Difference of the final true score to another regimen, shape (n,); negative is better."""
    return np.asarray(twins.course(regimen)[:, -1] - twins.course(reference)[:, -1])


def forecast_regimens(
    twins: Twins,
    estimator: Estimator,
    regimens: Sequence[Regimen],
    reference: str,
    scores: Scores,
    on: str,
) -> tuple[RegimenForecast, ...]:
    """Summarise the courses of every regimen, in the order given.

    Parameters
    ----------
    estimator : Estimator
        With the weights of the early scores, if there are any.
    scores : Scores
        Those seen; may hold none.
    on : str
        Regimen that they were recorded under.
    """
    scale, weight = twins.scale, estimator.calibrated
    true = {r.id: twins.course(r.id) for r in regimens}
    observed = twins.course(on) if scores.seen else None
    final = np.stack([true[r.id][:, -1] for r in regimens])
    ties = final <= final.min(axis=0) + 1e-9
    best = (ties / ties.sum(axis=0)) @ weight
    found = []
    for number, regimen in enumerate(regimens):
        course = true[regimen.id]
        recorded = record(twins, scores, course, observed=None if regimen.id == on else observed)
        end = outlook(twins, recorded, estimator)
        weeks = tuple(map(float, range(course.shape[1])))
        gain = course[:, -1] - true[reference][:, -1]
        low, high = quantiles(gain[:, None], weight)[:, 0]
        versus = Interval(float(weight @ gain), float(low), float(high))
        found.append(
            RegimenForecast(
                regimen.id,
                regimen.name,
                (
                    _trajectory(
                        scale.id,
                        "points",
                        weeks,
                        recorded_mean(recorded.mean, recorded.sd, scale),
                        recorded.drawn,
                        weight,
                    ),
                    *(
                        _trajectory(d, "fraction", weeks, values, values, weight)
                        for d, values in ((d, twins.dimensions[regimen.id][d]) for d in DIMENSIONS)
                    ),
                ),
                end.change,
                end.response,
                end.remission,
                versus,
                float(best[number]),
                verdict(versus, scale, reference=regimen.id == reference),
                tuple(Rest(e.kind, e.doi, e.place) for e in regimen.evidence),
                twins.failed[regimen.id],
            )
        )
    return tuple(found)


def _trajectory(
    variable: str, unit: str, weeks: tuple[float, ...], expected: Array, drawn: Array, weight: Array
) -> Trajectory:
    low, high = quantiles(drawn, weight)
    mean = np.clip(weight @ expected, expected.min(axis=0), expected.max(axis=0))
    return Trajectory(variable, unit, weeks, tuple(map(float, mean)), tuple(map(float, low)), tuple(map(float, high)))
