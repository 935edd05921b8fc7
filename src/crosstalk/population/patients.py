"""Virtual patients: their parameters, covariates and untreated baseline, made once and kept in a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine, Failure, Problem, Status
from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.model.pharmacokinetics import pk_parameters, prefix, uncertain_effect
from crosstalk.model.qa import check_positivity
from crosstalk.population.calibrated import possible_worlds
from crosstalk.population.latent import (
    Latent,
    pharmacokinetic_factors,
)
from crosstalk.population.worlds import Worlds

__all__ = ["Patients", "baseline", "draw_patients", "drug_parameters", "make_patients", "weight_kg"]

Array = NDArray[np.float64]

PLACEHOLDER = 1.0  # of a state that has no steady value
# height where a panel or population gives none [cm]
DEFAULT_HEIGHT_CM = 168.0


@dataclass(frozen=True)
class Patients:
    """Some virtual patients, untreated and in their steady state.

    Attributes
    ----------
    index : array of int, shape (n,)
        Who they are: their numbers in the endless population of the seed.
    coordinates : array, shape (n, n_variables)
        Independent normal coordinates in the latent space.
    world : array of int, shape (n,)
        Which of the worlds they live in.
    worlds : Worlds
    parameters : mapping of str to array, shape (n,)
        What enters the model.
    covariates : mapping of str to array, shape (n,)
        What does not: age, sex, height.
    states : mapping of str to array, shape (n,)
        Baseline state; empty before `baseline`.
    outputs : mapping of str to array, shape (n,)
        Baseline observables; NaN for patients who failed.
    failures : mapping of int to Failure
        By position.
    """

    seed: int
    index: NDArray[np.intp]
    coordinates: Array
    world: NDArray[np.intp]
    worlds: Worlds
    parameters: Mapping[str, Array]
    covariates: Mapping[str, Array]
    states: Mapping[str, Array]
    outputs: Mapping[str, Array]
    failures: Mapping[int, Failure]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which patients have a valid baseline, shape (n,)."""
        mask = np.ones(len(self), dtype=bool)
        mask[list(self.failures)] = False
        return mask

    def take(self, which: NDArray[np.intp]) -> Patients:
        """Some of the patients, repeats allowed."""

        def part(table: Mapping[str, Array]) -> dict[str, Array]:
            return {k: v[which] for k, v in table.items()}

        return replace(
            self,
            index=self.index[which],
            coordinates=self.coordinates[which],
            world=self.world[which],
            parameters=part(self.parameters),
            covariates=part(self.covariates),
            states=part(self.states),
            outputs=part(self.outputs),
            failures={i: self.failures[int(j)] for i, j in enumerate(which) if int(j) in self.failures},
        )


def draw_patients(
    knowledge: Knowledge,
    latent: Latent,
    index: NDArray[np.intp],
    *,
    seed: int,
    worlds: int | Worlds,
    world: NDArray[np.intp] | None = None,
) -> Patients:
    """Draw patients without their baseline.

    Parameters
    ----------
    index : array of int, shape (n,)
        Numbers of the patients.
    worlds : int or Worlds
        The possible worlds, or how many to take of those that `crosstalk.population.calibrated.possible_worlds` gives.
    world : array of int, shape (n,), optional
        Which world each lives in; patient ``i`` in world ``i % worlds`` by default.
    """
    return make_patients(knowledge, latent, index, latent.draw(seed, index), seed=seed, worlds=worlds, world=world)


def make_patients(
    knowledge: Knowledge,
    latent: Latent,
    index: NDArray[np.intp],
    coordinates: Array,
    *,
    seed: int,
    worlds: int | Worlds,
    world: NDArray[np.intp] | None = None,
) -> Patients:
    """Make patients at given coordinates of the latent space, see `draw_patients`."""
    table = worlds if isinstance(worlds, Worlds) else possible_worlds(knowledge, seed, worlds)
    world = index % table.n if world is None else world
    shared = {name: column[world] for name, column in table.values.items()}
    parameters = {name: column for name, column in shared.items() if name in knowledge.parameters}
    covariates: dict[str, Array] = {}
    for name, column in latent.values(coordinates, shared).items():
        if name in knowledge.parameters:
            # an individual parameter that is also uncertain keeps both spreads: the draw of the world is its center
            known = parameters.get(name)
            parameters[name] = column if known is None else column * known / knowledge.parameters[name].value
        else:
            covariates[name] = column
    return Patients(seed, index, coordinates, world, table, parameters, covariates, {}, {}, {})


def weight_kg(patients: Patients) -> Array:
    """Body weight from BMI and height, shape (n,) [kg]."""
    height_m = patients.covariates.get("height_cm", np.full(len(patients), DEFAULT_HEIGHT_CM)) / 100
    return np.asarray(patients.parameters["BMI"] * height_m**2, dtype=np.float64)


def drug_parameters(knowledge: Knowledge, drugs: Sequence[str], patients: Patients) -> dict[str, Array]:
    """Pharmacokinetic constants and uncertain effects of some drugs, by model parameter, shape (n,)."""
    parameters: dict[str, Array] = {}
    weight = weight_kg(patients)
    for drug_id in drugs:
        drug = knowledge.drug(drug_id)
        if drug.into_state:
            continue
        factors = pharmacokinetic_factors(drug, patients.seed, patients.index)
        light, heavy = pk_parameters(drug, 1.0), pk_parameters(drug, 2.0)
        for name, (value, _, key) in light.items():
            per_kg = heavy[name][0] != value
            column = np.full(len(patients), value) * (weight if per_kg else 1.0)
            factor = factors.get(key)
            if factor is not None:
                # a longer half-life is a smaller rate
                column = column / factor if key.endswith("half_life") else column * factor
            parameters[f"{prefix(drug_id)}_{name}"] = column
        for target in drug.targets:
            uncertain = uncertain_effect(drug, target)
            if uncertain is not None and uncertain[0] in patients.worlds.values:
                parameters[uncertain[0]] = patients.worlds.values[uncertain[0]][patients.world]
    return parameters


def baseline(
    patients: Patients,
    knowledge: Knowledge,
    engine: Engine,
    *,
    outputs: Sequence[str] = (),
    background: Mapping[str, Array] | None = None,
    background_drugs: Sequence[str] = (),
    score: tuple[str, Array] | None = None,
    strict: bool = True,
) -> Patients:
    """Find the steady state of each patient.

    Parameters
    ----------
    outputs : sequence of str
        Observables to read at baseline.
    background : mapping of str to array, optional
        Input rates of stable background treatment.
    background_drugs : sequence of str
        Drugs that the model holds.
    score : (str, array of shape (n,)), optional
        A scale and the true score at baseline: the vulnerability is solved from it.
    strict : bool
        Raise if no patient has a valid baseline.

    Raises
    ------
    PopulationError
        If no patient has a valid baseline and ``strict`` is set.
    """
    model = assemble(background_drugs, knowledge)
    parameters = {**patients.parameters, **drug_parameters(knowledge, background_drugs, patients), **(background or {})}
    problem = Problem(
        model.sbml,
        len(patients),
        parameters,
        np.zeros(1),
        tuple(outputs),
        patients.states,
        nonnegative=model.states,
    )
    solve = {"vul": score} if score else None
    steady = engine.steady_state(problem, solve=solve, warm=bool(patients.states))
    failures: dict[int, Failure] = dict(steady.failures)
    for i in np.flatnonzero(~check_positivity(model, parameters, n=len(patients))):
        failures[int(i)] = Failure(Status.INVALID_INPUT, "a regulator that must stay positive")
    if strict and len(failures) == len(patients):
        raise PopulationError(
            f"none of {len(patients)} virtual patients has a steady state; first reason: {failures[0]}"
        )
    ok = np.ones(len(patients), dtype=bool)
    ok[list(failures)] = False
    # a placeholder for who has none; such patients are never simulated further
    states = {k: np.where(np.isfinite(v), v, PLACEHOLDER) for k, v in steady.initial().items()}
    found = {**patients.parameters, **steady.solved}
    read = engine.simulate(replace(problem, parameters={**parameters, **steady.solved}, initial=states))
    return replace(
        patients,
        parameters=found,
        states=states,
        outputs={o: np.where(ok, read[o][:, 0], np.nan) for o in outputs},
        failures=failures,
    )
