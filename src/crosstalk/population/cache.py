"""The virtual population that twins are drawn from, computed once and kept on disk."""

from __future__ import annotations

import io
import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine, Failure, Status
from crosstalk.errors import OutputError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.provenance import atomic_write, hash_bytes, versions

__all__ = ["cache_folder", "virtual_population"]

# raised when the content of a cached population changes its meaning
FORMAT = 1


def cache_folder() -> Path:
    """Where computed populations are kept: ``CROSSTALK_CACHE`` or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("CROSSTALK_CACHE") or platformdirs.user_cache_dir("crosstalk"))


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
    The file's name holds a hash of everything that the result depends on. A file that cannot be read, or whose content
    does not match its checksum, is computed again. An unwritable cache costs time, nothing else.
    """
    key = hash_bytes(
        repr(
            (FORMAT, assemble((), knowledge).sha256, knowledge.sha256, diagnosis, n, worlds, seed, outputs, versions())
        )
    )
    path = cache_folder() / f"population-{key[:32]}.npz"
    latent = latent_space(knowledge.diagnosis(diagnosis))
    drawn = draw_patients(knowledge, latent, np.arange(n), seed=seed, worlds=worlds)
    kept = _read(path, drawn, outputs)
    if kept is not None:
        return kept
    patients = baseline(drawn, knowledge, engine, outputs=outputs)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, _pack(patients))
    except (OSError, OutputError):
        pass
    return patients


def _pack(patients: Patients) -> bytes:
    failed = sorted(patients.failures)
    arrays: dict[str, NDArray[np.generic]] = {
        **{f"state:{k}": v for k, v in patients.states.items()},
        **{f"output:{k}": v for k, v in patients.outputs.items()},
        "failed": np.array(failed, dtype=np.int64),
        "status": np.array([patients.failures[i].status.name for i in failed], dtype="U32"),
        "where": np.array([patients.failures[i].state for i in failed], dtype="U64"),
    }
    arrays["checksum"] = np.array(_checksum(arrays))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _checksum(arrays: dict[str, NDArray[np.generic]]) -> str:
    return hash_bytes(b"".join(k.encode() + np.ascontiguousarray(arrays[k]).tobytes() for k in sorted(arrays)))


def _read(path: Path, drawn: Patients, outputs: tuple[str, ...]) -> Patients | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {k: stored[k] for k in stored.files}
    except (OSError, ValueError, BadZipFile, EOFError, KeyError):
        return None
    checksum = arrays.pop("checksum", None)
    if checksum is None or str(checksum) != _checksum(arrays):
        return None
    states = {k[6:]: v for k, v in arrays.items() if k.startswith("state:")}
    found = {k[7:]: v for k, v in arrays.items() if k.startswith("output:")}
    if set(found) != set(outputs):
        return None
    failures = {
        int(i): Failure(Status[str(s)], str(w))
        for i, s, w in zip(arrays["failed"], arrays["status"], arrays["where"], strict=True)
    }
    return Patients(
        drawn.seed,
        drawn.index,
        drawn.coordinates,
        drawn.world,
        drawn.parameters,
        drawn.covariates,
        states,
        found,
        failures,
    )
