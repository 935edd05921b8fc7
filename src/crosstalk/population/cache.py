"""The virtual population that twins are drawn from, computed once and kept on disk."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine, Failure, Status
from crosstalk.errors import OutputError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.provenance import atomic_write, cache_folder, hash_bytes, versions

__all__ = ["virtual_population"]

# raised when the content of a cached population changes its meaning
FORMAT = 2
# length of the checksum at the start of a file
DIGEST = 64


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
    The file's name holds a hash of everything that the result depends on. The file starts with a checksum of that hash
    and of the rest; where it does not match, nothing is parsed and the population is computed again. An unwritable
    cache costs time, nothing else.
    """
    model = assemble((), knowledge).sha256
    latent = latent_space(knowledge.diagnosis(diagnosis))
    drawn = draw_patients(knowledge, latent, np.arange(n), seed=seed, worlds=worlds)
    # what was drawn stands for the posterior that it was drawn from, which need not be that of the knowledge
    people = hash_bytes(b"".join(name.encode() + column.tobytes() for name, column in sorted(drawn.parameters.items())))
    what = (
        FORMAT, model, knowledge.sha256, type(engine).__name__, diagnosis, n, worlds, seed, outputs, versions(), people,
    )  # fmt: skip
    key = hash_bytes(repr(what))
    path = cache_folder() / f"population-{key[:32]}.bin"
    kept = _read(path, key, drawn)
    if kept is not None:
        return kept
    patients = baseline(drawn, knowledge, engine, outputs=outputs)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, _pack(patients, key))
    except (OSError, OutputError):
        pass
    return patients


def _pack(patients: Patients, key: str) -> bytes:
    failed = sorted(patients.failures)
    arrays: dict[str, NDArray[np.generic]] = {
        **{f"state:{k}": v for k, v in patients.states.items()},
        **{f"output:{k}": v for k, v in patients.outputs.items()},
        "failed": np.array(failed, dtype=np.int64),
        "status": np.array([patients.failures[i].status.name for i in failed], dtype="U32"),
        "where": np.array([patients.failures[i].state for i in failed], dtype="U64"),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    return _checksum(content, key) + content


def _checksum(content: bytes, key: str) -> bytes:
    return hash_bytes(key.encode() + content).encode()


def _read(path: Path, key: str, drawn: Patients) -> Patients | None:
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    checksum, content = stored[:DIGEST], stored[DIGEST:]
    if checksum != _checksum(content, key):
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as opened:
        arrays = {k: opened[k] for k in opened.files}
    states = {k[6:]: v for k, v in arrays.items() if k.startswith("state:")}
    outputs = {k[7:]: v for k, v in arrays.items() if k.startswith("output:")}
    failures = {
        int(i): Failure(Status[str(s)], str(w))
        for i, s, w in zip(arrays["failed"], arrays["status"], arrays["where"], strict=True)
    }
    return replace(drawn, states=states, outputs=outputs, failures=failures)
