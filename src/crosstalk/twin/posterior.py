"""The posterior of one patient: virtual patients who explain the panel.

Weights on a cached virtual population come first. The best of it is then given the patient's own covariates exactly
and moved by a few Metropolis steps (preconditioned Crank-Nicolson, reversible for the prior), the likelihood being
let in by degrees where the population holds few patients like this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import PopulationError, TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.panel.records import Measurement, Panel
from crosstalk.population.cache import virtual_population
from crosstalk.population.latent import latent_space, patient_uniforms, quantile
from crosstalk.population.measure import plausible_score
from crosstalk.population.patients import Patients, baseline, make_patients
from crosstalk.twin.likelihood import Observation, log_likelihood, observations
from crosstalk.twin.relations import indications, relation_fit

__all__ = ["Posterior", "covariates_of", "infer", "likeness", "scale_of", "score_of", "twin_outputs"]

Array = NDArray[np.float64]

ENOUGH = 100.0  # effective sample below which the likelihood is let in by degrees
MOVES = 3  # Metropolis steps at each degree
MAX_STAGES = 12
STEP = 0.5  # first step size of the proposal
# spread within which members of the cached population count as alike in a covariate
KERNEL = {"BMI": 0.05, "age": 12.0, "height_cm": 8.0}


@dataclass(frozen=True)
class Posterior:
    """Virtual patients who stand for one real patient, each with equal weight.

    Attributes
    ----------
    patients : Patients
        With baseline and solved vulnerability.
    population : Patients
        The virtual population that they came from.
    observed : tuple of Observation
    scale : Scale
        The symptom scale of the forecast.
    recorded : array, shape (n,) [points]
        Baseline score as recorded; the same for all if the panel holds one.
    effective_sample : float
        Of the weights on the virtual population: how many of its members resemble the patient.
    """

    patients: Patients
    population: Patients
    observed: tuple[Observation, ...]
    scale: Scale
    recorded: Array
    has_score: bool
    effective_sample: float


def twin_outputs(knowledge: Knowledge) -> tuple[str, ...]:
    """Model variables that a twin needs at baseline: observables of all analytes, and the mechanism scores."""
    observables = {a.observable for a in knowledge.analytes.values() if a.kind == "laboratory" and a.observable}
    return tuple(sorted(observables | {s.output for s in knowledge.scores.values()}))


def covariates_of(panel: Panel, knowledge: Knowledge) -> dict[str, float]:
    """Covariates that the panel fixes, by the name they have in the population."""
    known = {}
    for measurement in panel.measurements.values():
        analyte = knowledge.analytes[measurement.analyte]
        if analyte.kind == "covariate" and analyte.covariate and not (measurement.censored or _failed(measurement)):
            known[analyte.covariate] = measurement.value
    return known


def score_of(panel: Panel, knowledge: Knowledge) -> tuple[Scale, float] | None:
    """The baseline score of a panel: of the first scale of the knowledge base that it holds."""
    for scale in knowledge.scales.values():
        measurement = panel.measurements.get(scale.id)
        if measurement is not None and not _failed(measurement):
            return scale, measurement.value
    return None


def _failed(measurement: Measurement) -> bool:
    return measurement.quality == "failed"


def scale_of(panel: Panel, knowledge: Knowledge, diagnosis: str = "mdd") -> Scale:
    """The scale of a forecast: that of the panel's baseline score, or the one of the diagnosis."""
    found = score_of(panel, knowledge)
    return found[0] if found is not None else knowledge.scales[knowledge.diagnosis(diagnosis).scale]


def infer(
    panel: Panel,
    knowledge: Knowledge,
    engine: Engine,
    *,
    seed: int = 1,
    virtual_patients: int = 1200,
    worlds: int = 40,
    draws: int = 200,
    diagnosis: str = "mdd",
) -> Posterior:
    """Infer the posterior of one patient.

    Parameters
    ----------
    virtual_patients : int
        Size of the cached virtual population.
    worlds : int
        Draws of the uncertain population parameters.
    draws : int
        Virtual patients who stand for the patient.

    Raises
    ------
    TwinError
        If no virtual patient can explain the panel at all.
    """
    outputs = twin_outputs(knowledge)
    population = virtual_population(
        knowledge, engine, diagnosis=diagnosis, n=virtual_patients, worlds=worlds, seed=seed, outputs=outputs
    )
    observed = observations(panel, knowledge)
    known = covariates_of(panel, knowledge)
    told = indications(panel)
    fit = log_likelihood(observed, population.outputs, len(population)) + likeness(population, known)
    fit += relation_fit(population.coordinates, latent_space(knowledge.diagnosis(diagnosis)), told)
    fit[~population.ok] = -np.inf
    if not np.isfinite(fit).any():
        raise TwinError(
            f"patient {panel.patient}: no virtual patient can explain the panel; check the values and their units"
        )
    sample = _effective(fit)
    particles = _rejuvenate(population, observed, known, told, fit, knowledge, engine, outputs, draws, diagnosis)
    return _with_score(particles, population, panel, observed, knowledge, engine, diagnosis, sample)


def likeness(population: Patients, known: dict[str, float]) -> Array:
    """Log kernel of the covariates, shape (n,)."""
    table = {**population.parameters, **population.covariates}
    total = np.zeros(len(population))
    for name, value in known.items():
        if name in KERNEL and name in table:
            gap = np.log(table[name] / value) if name == "BMI" else table[name] - value
            # cut at five spreads, so that a patient outside the population still finds his nearest
            total += -0.5 * np.minimum((gap / KERNEL[name]) ** 2, 25.0 + 0.01 * (gap / KERNEL[name]) ** 2)
    return total


def _effective(log_weight: Array) -> float:
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight**2).sum())


def _degree(fit: Array, start: float, wanted: float) -> float:
    """Largest degree up to 1 at which the increment of the likelihood leaves the effective sample wanted."""
    finite = fit[np.isfinite(fit)]
    if _effective((1 - start) * finite) >= wanted:
        return 1.0
    low, high = start, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _effective((middle - start) * finite) >= wanted else (low, middle)
    return max(low, start + 1e-3)


def _resample(log_weight: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Systematic resampling."""
    weight = np.exp(log_weight - log_weight[np.isfinite(log_weight)].max())
    weight[~np.isfinite(weight)] = 0.0
    edges = np.cumsum(weight / weight.sum())
    return np.minimum(np.searchsorted(edges, (rng.random() + np.arange(n)) / n), len(weight) - 1)


def _rejuvenate(
    population: Patients,
    observed: tuple[Observation, ...],
    known: dict[str, float],
    told: dict[str, float],
    fit: Array,
    knowledge: Knowledge,
    engine: Engine,
    outputs: Sequence[str],
    draws: int,
    diagnosis: str,
) -> Patients:
    """Resample, give the covariates exactly, and move."""
    rng = np.random.default_rng([population.seed, 20])
    space = latent_space(knowledge.diagnosis(diagnosis)).condition(known)
    degree = _degree(fit, 0.0, min(ENOUGH, draws / 2))
    chosen = _resample(degree * fit, draws, rng)
    start = population.take(chosen)
    free = space.from_prior(start.coordinates)

    def settle(coordinates: Array, near: Patients) -> tuple[Patients, Array]:
        made = make_patients(
            knowledge,
            space.latent,
            near.index,
            space.to_prior(coordinates),
            seed=population.seed,
            worlds=population.worlds,
        )
        try:
            settled = baseline(replace(made, states=near.states), knowledge, engine, outputs=outputs)
        except PopulationError:  # none of them has a steady state
            return near, np.full(len(near), -np.inf)
        value = log_likelihood(observed, settled.outputs, len(settled))
        value += relation_fit(settled.coordinates, space.latent, told)
        return settled, np.where(settled.ok, value, -np.inf)

    particles, now = settle(free, start)
    if not np.isfinite(now).any():
        raise TwinError("no virtual patient with these covariates has a steady state; check BMI, age and sex")
    keep = _resample(degree * (now - np.where(np.isfinite(fit[chosen]), fit[chosen], 0.0)), draws, rng)
    particles, free, now = particles.take(keep), free[keep], now[keep]
    step = STEP
    for _ in range(MAX_STAGES):
        for _ in range(MOVES):
            proposal = np.sqrt(1 - step**2) * free + step * rng.standard_normal(free.shape)
            moved, then = settle(proposal, particles)
            accept = np.log(rng.random(draws)) < degree * (then - now)
            both = _choose(particles, moved, accept)
            particles, free, now = both, np.where(accept[:, None], proposal, free), np.where(accept, then, now)
            rate = float(accept.mean())
            step = float(np.clip(step * (1.4 if rate > 0.4 else 0.6 if rate < 0.15 else 1.0), 0.05, 0.95))
        if degree >= 1.0:
            break
        following = _degree(now, degree, draws / 2)
        keep = _resample((following - degree) * now, draws, rng)
        particles, free, now, degree = particles.take(keep), free[keep], now[keep], following
    return particles


def _choose(old: Patients, new: Patients, accept: NDArray[np.bool_]) -> Patients:
    def pick(a: Mapping[str, Array], b: Mapping[str, Array]) -> dict[str, Array]:
        return {k: np.where(accept, b[k], a[k]) for k in a}

    return replace(
        old,
        coordinates=np.where(accept[:, None], new.coordinates, old.coordinates),
        parameters=pick(old.parameters, new.parameters),
        covariates=pick(old.covariates, new.covariates),
        states=pick(old.states, new.states),
        outputs=pick(old.outputs, new.outputs),
        failures={i: f for i, f in old.failures.items() if not accept[i]},
    )


def _with_score(
    particles: Patients,
    population: Patients,
    panel: Panel,
    observed: tuple[Observation, ...],
    knowledge: Knowledge,
    engine: Engine,
    diagnosis: str,
    sample: float,
) -> Posterior:
    """Solve each particle's vulnerability from the baseline score less the rater's error."""
    found = score_of(panel, knowledge)
    n = len(particles)
    rng = np.random.default_rng([population.seed, 21])
    noise = rng.standard_normal(n)
    definition = knowledge.diagnosis(diagnosis)
    if found is not None:
        scale, recorded = found[0], np.full(n, found[1])
    else:
        if definition.severity is None:
            raise TwinError(f"patient {panel.patient}: no baseline score, and diagnosis '{diagnosis}' defines none")
        scale = knowledge.scales[definition.scale]
        uniform = patient_uniforms(population.seed, "severity", np.arange(n))
        recorded = np.round(quantile(definition.severity, uniform))
    true = plausible_score(recorded - scale.rater_sd * noise, recorded, scale)
    outputs = (*particles.outputs, "NV", "MOOD", scale.id)
    # a new index for each particle: what happens by chance after baseline is its own
    single = replace(particles, index=np.arange(n))
    try:
        settled = baseline(single, knowledge, engine, outputs=outputs, score=(scale.id, true))
    except PopulationError as error:
        raise TwinError(
            f"patient {panel.patient}: a {scale.id} of {recorded.mean():.0f} cannot be reached by any of {n} virtual "
            f"patients ({error}); the model speaks of depressed patients"
        ) from None
    good = np.flatnonzero(settled.ok)
    if len(good) < 0.5 * n:
        reason = next(iter(settled.failures.values()))
        raise TwinError(
            f"patient {panel.patient}: a {scale.id} of {recorded.mean():.0f} cannot be reached by "
            f"{n - len(good)} of {n} virtual patients ({reason}); the model speaks of depressed patients"
        )
    return Posterior(settled.take(good), population, observed, scale, recorded[good], found is not None, sample)
