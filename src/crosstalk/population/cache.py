"""The virtual population that twins are drawn from, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine, Failure, Status
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.provenance import versions
from crosstalk.store import cached

__all__ = ["virtual_population"]

# raised when the content of a cached population changes its meaning
FORMAT = 3


def virtual_population(
    knowledge: Knowledge,
    engine: Engine,
    *,
    diagnosis: str,
    n: int,
    worlds: int,
    seed: int,
    outputs: tuple[str, ...],
) -> Patients:
    """Untreated virtual patients of a diagnosis in their steady state, from the cache or computed.

    Parameters
    ----------
    n : int
        Number of patients.
    worlds : int
        Draws of the uncertain population parameters that they are spread over.
    outputs : tuple of str
        Observables to keep.

    Notes
    -----
    Kept in the cache, see `crosstalk.store`.
    """
    model = assemble((), knowledge).sha256
    latent = latent_space(knowledge.diagnosis(diagnosis))
    drawn = draw_patients(knowledge, latent, np.arange(n), seed=seed, worlds=worlds)
    # what was drawn stands for the posterior that it was drawn from, which need not be that of the knowledge
    store = cached(
        "population", FORMAT, model, knowledge.sha256, type(engine).__name__, diagnosis, n, worlds, seed, outputs,
        versions(), drawn.parameters,
    )  # fmt: skip
    kept = store.load_arrays()
    if kept is not None:
        return _unpacked(kept, drawn)
    patients = baseline(drawn, knowledge, engine, outputs=outputs)
    store.save_arrays(_packed(patients))
    return patients


def _packed(patients: Patients) -> dict[str, NDArray[Any]]:
    failed = sorted(patients.failures)
    return {
        **{f"state:{k}": v for k, v in patients.states.items()},
        **{f"output:{k}": v for k, v in patients.outputs.items()},
        "failed": np.array(failed, dtype=np.int64),
        "status": np.array([patients.failures[i].status.name for i in failed], dtype="U32"),
        "where": np.array([patients.failures[i].state for i in failed], dtype="U64"),
    }


def _unpacked(arrays: Mapping[str, NDArray[Any]], drawn: Patients) -> Patients:
    states = {k[6:]: v for k, v in arrays.items() if k.startswith("state:")}
    outputs = {k[7:]: v for k, v in arrays.items() if k.startswith("output:")}
    failures = {
        int(i): Failure(Status[str(s)], str(w))
        for i, s, w in zip(arrays["failed"], arrays["status"], arrays["where"], strict=True)
    }
    return replace(drawn, states=states, outputs=outputs, failures=failures)
