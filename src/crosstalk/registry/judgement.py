"""Forecasts against what came of them: coverage, CRPS, Brier score and drift, and a recalibration apart.

A forecast is judged by the last score that it covers and that became known after it. One person counts once. A normal
distribution with the forecast's mean and the width of its interval stands for the forecast in the CRPS [1]_. What is
said of too few people is that they are too few.

References
----------
.. [1] Gneiting T, Raftery AE. Strictly proper scoring rules, prediction, and estimation. J Am Stat Assoc 2007.
   doi:10.1198/016214506000001437
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binomtest, linregress
from scipy.stats import t as student
from sqlalchemy import Connection, select

from crosstalk.calibrate.scores import Prediction, crps
from crosstalk.registry.chain import append
from crosstalk.registry.database import Registry
from crosstalk.registry.tables import FORECAST, GIVEN, PERSON, SCORE

__all__ = ["FEWEST", "Judged", "Judgement", "Measure", "judge", "measures", "outcomes"]

Array = NDArray[np.float64]

Z90 = float(ndtri(0.95))
FEWEST = {"coverage": 20, "bias": 20, "crps": 20, "brier": 20, "drift": 40, "recalibration": 40}
"""People below whom a figure is not given (assumed: a share of 20 is known to about 20 points)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One person's forecast and outcome. ``response`` is the forecast probability, where the score tells it."""

    pseudonym: str
    regimen: str
    scale: str
    week: float
    baseline: float
    mean: float
    lo90: float
    hi90: float
    observed: float
    inside90: bool
    response: float | None
    responded: bool | None
    posterior_sha256: str

    @property
    def sd(self) -> float:
        """Of the normal distribution with this interval [points]; a tenth of a point at least."""
        return max((self.hi90 - self.lo90) / (2 * Z90), 0.1)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure with its interval, or why there is none. ``reference`` is what it would be ideally, or for a rival."""

    id: str
    name: str
    n: int
    needed: int
    value: float | None
    lo90: float | None
    hi90: float | None
    reference: float | None
    reading: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Forecasts of a registry judged. ``left_out`` counts the people who are not judged yet, by reason.

    ``recalibrated`` says what a shift and a widening learned from the others would make of it; no forecast is changed.
    """

    people: int
    judged: tuple[Judged, ...]
    left_out: dict[str, int]
    measures: tuple[Measure, ...]
    recalibrated: tuple[Measure, ...]
    posteriors: dict[str, int]


def judge(registry: Registry) -> Judgement:
    """Judge every forecast whose outcome is known."""
    with registry.reading() as connection:
        people, judged, left_out = outcomes(connection)
    found = Judgement(
        people, judged, dict(left_out), measures(judged), _recalibrated(judged),
        dict(Counter(j.posterior_sha256[:16] or "priors" for j in judged)),
    )  # fmt: skip
    with registry.writing() as connection:
        append(connection, "judge", n=len(judged))
    return found


def outcomes(connection: Connection) -> tuple[int, tuple[Judged, ...], Counter[str]]:
    """The number of people, those who can be judged in the order of their scores, and why the others cannot."""
    names = dict(connection.execute(select(PERSON.c.number, PERSON.c.pseudonym)).all())
    given, scores, forecasts = (_by_person(connection, t) for t in (GIVEN, SCORE, FORECAST))
    found: list[tuple[int, Judged]] = []
    why: Counter[str] = Counter()
    for person, pseudonym in names.items():
        got = _of_one(pseudonym, given.get(person, []), scores.get(person, []), forecasts.get(person, []))
        if isinstance(got, str):
            why[got] += 1
        else:
            found.append(got)
    found.sort(key=lambda pair: pair[0])
    return len(names), tuple(j for _, j in found), why


def _by_person(connection: Connection, table: Any) -> dict[int, list[Mapping[str, Any]]]:
    rows: dict[int, list[Mapping[str, Any]]] = {}
    for row in connection.execute(select(table).order_by(table.c.number)).mappings():
        rows.setdefault(row["person"], []).append(dict(row))
    return rows


def _of_one(
    pseudonym: str, given: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]],
    forecasts: Sequence[Mapping[str, Any]],
) -> tuple[int, Judged] | str:  # fmt: skip
    if not forecasts:
        return "no forecast"
    if not scores:
        return "no score yet"
    if not given:
        return "no regimen noted"
    if len({g["regimen"] for g in given}) > 1 or any(g["week"] > 0 for g in given):
        return "another regimen began on the way"
    regimen = given[-1]["regimen"]
    reason = "no score after the forecast, on its scale and within its weeks"
    for score in sorted(scores, key=lambda s: -s["week"]):
        earlier = [f for f in forecasts if f["number"] < score["number"] and f["scale"] == score["scale"]]
        if not earlier:
            continue
        forecast = earlier[-1]
        document = json.loads(forecast["content"])
        own = next((r for r in document["regimens"] if r["id"] == regimen), None)
        if own is None:
            reason = "the regimen was not forecast"
            continue
        course = next(t for t in own["trajectory"] if t["variable"] == score["scale"])
        if score["week"] not in course["week"]:
            continue
        k = course["week"].index(score["week"])
        told = own["response"] if own["response"]["week"] == score["week"] else None
        return score["number"], Judged(
            pseudonym, regimen, score["scale"], score["week"], forecast["baseline"], course["mean"][k],
            course["lo90"][k], course["hi90"][k], score["value"],
            course["lo90"][k] <= score["value"] <= course["hi90"][k], None if told is None else told["mean"],
            None if told is None else score["value"] <= forecast["baseline"] / 2, forecast["posterior_sha256"],
        )  # fmt: skip
    return reason


def measures(judged: Sequence[Judged]) -> tuple[Measure, ...]:
    """Figures on forecasts and outcomes, in the order in which the outcomes became known."""
    mean, sd, observed, baseline = _arrays(judged)
    found = [_coverage([j.inside90 for j in judged])]
    error = observed - mean
    found.append(_mean_error(error))
    found.append(_crps(mean, sd, observed, baseline))
    told = [(j.response, j.responded) for j in judged if j.response is not None and j.responded is not None]
    found.append(_brier(np.array([p for p, _ in told]), np.array([float(r) for _, r in told])))
    found.append(_drift(error / sd))
    return tuple(found)


def _arrays(judged: Sequence[Judged]) -> tuple[Array, Array, Array, Array]:
    table = np.array([(j.mean, j.sd, j.observed, j.baseline) for j in judged], dtype=np.float64).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


def _few(name: str, words: str, n: int) -> Measure | None:
    kind = name.split(" ")[0]
    needed = FEWEST[kind]
    if n >= needed:
        return None
    return Measure(name, words, n, needed, None, None, None, None, f"too few: {n} of {needed}")


def _coverage(inside: Sequence[bool], name: str = "coverage", words: str = "inside the 90 % interval") -> Measure:
    n = len(inside)
    few = _few(name, words, n)
    if few is not None:
        return few
    share = binomtest(sum(inside), n)
    interval = share.proportion_ci(0.90, method="wilson")
    low, high = float(interval.low), float(interval.high)
    reading = (
        "the intervals are too narrow" if high < 0.9 else "the intervals are too wide" if low > 0.9
        else "agrees with 90 %"
    )  # fmt: skip
    return Measure(name, words, n, FEWEST["coverage"], sum(inside) / n, low, high, 0.9, reading)


def _mean_error(error: Array) -> Measure:
    words = "observed less forecast"
    few = _few("bias", words, len(error))
    if few is not None:
        return few
    value, low, high = _mean(error)
    reading = (
        "people do better than forecast" if high < 0 else "people do worse than forecast" if low > 0
        else "no bias seen"
    )  # fmt: skip
    return Measure("bias", words, len(error), FEWEST["bias"], value, low, high, 0.0, reading)


def _crps(mean: Array, sd: Array, observed: Array, baseline: Array) -> Measure:
    words = "CRPS, beside that of others' mean change"
    few = _few("crps", words, len(mean))
    if few is not None:
        return few
    own = np.array([_of(m, s, o) for m, s, o in zip(mean, sd, observed, strict=True)])
    change = observed - baseline
    rival = np.empty(len(own))
    for i in range(len(own)):
        others = np.delete(change, i)
        rival[i] = _of(baseline[i] + others.mean(), max(float(others.std(ddof=1)), 0.1), observed[i])
    return _beside("crps", words, own, rival, "the others' mean change")


def _beside(key: str, words: str, own: Array, rival: Array, whose: str) -> Measure:
    """A score beside that of a rival; better or worse only where the interval of their difference leaves out zero."""
    value, low, high = _mean(own)
    _, least, most = _mean(rival - own)
    reading = (
        f"better than {whose}" if least > 0 else f"worse than {whose}" if most < 0
        else f"no better or worse than {whose} can be said"
    )  # fmt: skip
    return Measure(key, words, len(own), FEWEST[key], value, low, high, float(rival.mean()), reading)


def _brier(p: Array, y: Array) -> Measure:
    words = "Brier score, beside that of others' share"
    few = _few("brier", words, len(p))
    if few is not None:
        return few
    own = (p - y) ** 2
    rival = ((y.sum() - y) / (len(y) - 1) - y) ** 2
    return _beside("brier", words, own, rival, "the others' share")


def _drift(z: Array) -> Measure:
    words = "drift of the error, first to last"
    few = _few("drift", words, len(z))
    if few is not None:
        return few
    fit = linregress(np.linspace(0, 1, len(z)), z)
    half = float(student.ppf(0.95, len(z) - 2)) * float(fit.stderr)
    value = float(fit.slope)
    low, high = value - half, value + half
    reading = "no drift seen" if low <= 0 <= high else "forecasts drift away from what comes"
    return Measure("drift", words, len(z), FEWEST["drift"], value, low, high, 0.0, reading)


def _recalibrated(judged: Sequence[Judged]) -> tuple[Measure, ...]:
    """Shift and widening learned from the others, and what they make of coverage and CRPS."""
    mean, sd, observed, _ = _arrays(judged)
    n = len(judged)
    few = _few("recalibration", "shift and widening", n)
    if few is not None:
        return (few,)
    z = (observed - mean) / sd
    needed = FEWEST["recalibration"]
    shift, low, high = _mean(z)
    width = float(z.std(ddof=1))
    # a bootstrap would say little more of one SD: its interval is that of normal errors
    band = [width * float(np.sqrt((n - 1) / q)) for q in _chi2(n - 1)]
    inside, scores = [], np.empty(n)
    for i in range(n):
        others = np.delete(z, i)
        m, s = mean[i] + sd[i] * others.mean(), sd[i] * others.std(ddof=1)
        inside.append(bool(abs(observed[i] - m) <= Z90 * s))
        scores[i] = _of(m, s, observed[i])
    before = np.array([_of(m, s, o) for m, s, o in zip(mean, sd, observed, strict=True)])
    gain, worse, better = _mean(before - scores)
    words = "helps" if worse > 0 else "harms" if better < 0 else "cannot be told to help"
    return (
        Measure("shift", "shift", n, needed, shift, low, high, 0.0, ""),
        Measure("width", "factor of the width", n, needed, width, band[0], band[1], 1.0, ""),
        _coverage(inside, "coverage recalibrated", "inside, recalibrated"),
        Measure("crps gain", "CRPS saved", n, needed, gain, worse, better, 0.0, f"recalibration {words}"),
    )


def _chi2(df: int) -> tuple[float, float]:
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, df)), float(chi2.ppf(0.05, df))


def _of(mean: float, sd: float, value: float) -> float:
    return crps(Prediction(np.array([mean]), float(sd)), float(value))


def _mean(values: Array) -> tuple[float, float, float]:
    """Mean and its 90 % interval by Student's t."""
    n = len(values)
    half = float(student.ppf(0.95, n - 1)) * float(values.std(ddof=1)) / np.sqrt(n)
    value = float(values.mean())
    return value, value - half, value + half
