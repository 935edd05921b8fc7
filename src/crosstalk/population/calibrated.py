"""The calibrated posterior that ships: possible worlds after the evidence, and whether it still fits the model."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.worlds import Unknown, Worlds, median_world, prior_worlds, unknowns
from crosstalk.provenance import hash_bytes

__all__ = [
    "PosteriorFile",
    "evidence_hash",
    "knowledge_state",
    "model_hash",
    "possible_worlds",
    "posterior_in_force",
    "posterior_worlds",
    "read_posterior",
    "sealed",
    "shipped_posterior",
    "unsealed",
]

Array = NDArray[np.float64]

POSTERIOR = "posterior.nc"
WORDS = ("source", "name", "aliases", "note", "meaning")
"""Fields of records that say something about numbers, and hold none."""
SEAL = b"\ncrosstalk sha256 "
"""Before the checksum of everything else, at the end of the file, where readers of netCDF do not look."""
VARIABLE = "CROSSTALK_POSTERIOR"
"""Environment variable that names another posterior than the shipped one."""


@dataclass(frozen=True)
class PosteriorFile:
    """Draws of the unknowns after calibration, as read from a file.

    Attributes
    ----------
    draws : mapping of str to array, shape (n,)
    model : str
        Hash of the model and the populations that it was calibrated with.
    evidence : str
        Hash of the results that it was calibrated on.
    version : str
        Of Crosstalk.
    between : mapping of str to float
        Standard deviation of true effects between studies that the calibration learned, by domain.
    """

    path: Path
    draws: Mapping[str, Array]
    model: str
    evidence: str
    version: str
    between: Mapping[str, float] = field(default_factory=dict)

    def check(self, knowledge: Knowledge) -> None:
        """Raise `PopulationError` where it lacks an unknown that the evidence speaks of, or leaves its bounds."""
        bounds = {p.id: (p.lower, p.upper) for p in knowledge.parameters.values()}
        known = _calibrated(knowledge)
        bounds |= {u.id: (u.prior.lower, u.prior.upper) for u in known}
        lacking = [u.id for u in known if u.id not in self.draws]
        if lacking:
            raise PopulationError(
                f"{self.path}: lacks draws of {', '.join(lacking[:5])}{' and others' if len(lacking) > 5 else ''}; "
                "make it again with `crosstalk calibrate`"
            )
        for name, values in self.draws.items():
            lower, upper = bounds.get(name, (-np.inf, np.inf))
            slack = 1e-9 * max(abs(lower), abs(upper)) if np.isfinite([lower, upper]).all() else 0.0
            if values.min() < lower - slack or values.max() > upper + slack:
                raise PopulationError(
                    f"{self.path}: draws of {name} go from {values.min():g} to {values.max():g}; expected {lower:g} to "
                    f"{upper:g}; make it again with `crosstalk calibrate`"
                )

    def stale(self, knowledge: Knowledge) -> str:
        """Why it does not belong to the model as it is; empty if it does."""
        if self.model != model_hash(knowledge):
            return f"it was made by version {self.version} for another model or other populations"
        if self.evidence != evidence_hash(knowledge):
            return "the results that it was calibrated on have changed"
        return ""


def model_hash(knowledge: Knowledge) -> str:
    """Hash of all that a posterior belongs to: equations, constants, populations, scales, priors.

    Words about a number, studies, and drugs leave it as it is.
    """
    parts = (
        assemble((), knowledge).sha256,
        sorted((p.id, p.value, p.lower, p.upper, p.prior, p.role) for p in knowledge.parameters.values()),
        sorted((d.id, repr(_plain(d))) for d in knowledge.diagnoses.values()),
        sorted((s.id, repr(_plain(s))) for s in knowledge.scales.values()),
        [(u.id, u.prior.center, u.prior.spread) for u in unknowns(knowledge) if u.module != "drugs"],
    )
    return hash_bytes(repr(parts))


def evidence_hash(knowledge: Knowledge) -> str:
    """Hash of the studies that the model is calibrated on, of the drugs in them, and of the discounts."""
    return _evidence(knowledge.sha256, _Hidden(knowledge))[0]


def _fitted_drugs(knowledge: Knowledge) -> frozenset[str]:
    """Drugs of which the studies that the model is calibrated on speak."""
    return _evidence(knowledge.sha256, _Hidden(knowledge))[1]


def _calibrated(knowledge: Knowledge) -> tuple[Unknown, ...]:
    """Unknowns that the evidence speaks of; draws of another drug's effect say no more than its prior did."""
    fitted = _fitted_drugs(knowledge)
    return tuple(u for u in unknowns(knowledge) if not u.drug or u.drug in fitted)


def _plain(value: object) -> object:
    """A record without the words about its numbers."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in WORDS}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def sealed(content: bytes) -> bytes:
    """The content of a posterior's file with its checksum at the end."""
    return content + SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n"


def unsealed(path: Path) -> io.BytesIO:
    """The content of a posterior's file, if it is what was written.

    Raises
    ------
    PopulationError
        If the file cannot be read, is no posterior, or was changed or damaged since it was written.
    """
    try:
        stored = Path(path).read_bytes()
    except OSError as error:
        raise _no_posterior(path, error.strerror) from error
    size = len(sealed(b""))
    content = stored[:-size]
    if stored[-size:] != sealed(content)[-size:]:
        written = stored.startswith(b"\x89HDF")
        raise _no_posterior(
            path,
            "it was changed or damaged since it was written, its checksum is not that of its content"
            if written
            else "it is no netCDF file",
        )
    return io.BytesIO(content)


def _no_posterior(path: Path, reason: object) -> PopulationError:
    words = " ".join(str(reason).split())
    return PopulationError(
        f"{path}: is no posterior of Crosstalk ({words}); expected a file written by `crosstalk calibrate`"
    )


def read_posterior(path: Path) -> PosteriorFile:
    """Read a file that ``crosstalk calibrate`` wrote.

    Raises
    ------
    PopulationError
        If it cannot be read, is no such file, was changed, or holds draws that are no finite numbers.
    """
    import h5netcdf

    content = unsealed(path)
    try:
        with h5netcdf.File(content, "r") as file:
            group = file.groups["posterior"]
            draws = {name: np.asarray(v[:], dtype=np.float64).reshape(-1) for name, v in group.variables.items()
                     if v.dimensions == ("chain", "draw")}  # fmt: skip
            model, evidence, version = (str(file.attrs[key]) for key in ("model", "evidence", "crosstalk"))
            between = {str(h["domain"]): float(h["tau"]) for h in json.loads(str(file.attrs["heterogeneity"]))}
        sizes = {len(values) for values in draws.values()}
        if len(sizes) != 1 or 0 in sizes:
            raise ValueError("it holds no draws, or not equally many of each unknown")
        for name, values in draws.items():
            if not np.isfinite(values).all():
                raise ValueError(f"'{name}' holds draws that are no finite numbers")
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise _no_posterior(path, error) from error
    return PosteriorFile(path, draws, model, evidence, version, between)


def shipped_posterior(knowledge: Knowledge) -> tuple[PosteriorFile | None, str]:
    """The posterior that is in force, and why it is not used (empty if it is).

    That of the knowledge folder, or the file that the environment variable ``CROSSTALK_POSTERIOR`` names.

    Raises
    ------
    PopulationError
        If the file cannot be read, or the one that the variable names does not fit the model.
    """
    chosen = os.environ.get(VARIABLE, "")
    path = Path(chosen) if chosen else knowledge.root / POSTERIOR
    if not path.is_file():
        if chosen:
            raise PopulationError(f"{path}: no such file; {VARIABLE} names a posterior, correct or unset it")
        return None, "no posterior is there; `crosstalk calibrate` makes one"
    found, reason = _shipped(path, path.stat().st_mtime_ns, knowledge.sha256, _Hidden(knowledge))
    if chosen and reason:
        raise PopulationError(f"{path}: {reason}; make it again with `crosstalk calibrate`, or unset {VARIABLE}")
    return found, reason


def posterior_in_force(path: Path | None, knowledge: Knowledge) -> PosteriorFile | None:
    """The posterior of a file, or the shipped one; None where that does not fit the model.

    Raises
    ------
    PopulationError
        If the file cannot be read or does not fit the model.
    """
    if path is None:
        shipped, reason = shipped_posterior(knowledge)
        return None if reason else shipped
    found = read_posterior(path)
    if reason := found.stale(knowledge):
        raise PopulationError(f"{path}: {reason}; make it again with `crosstalk calibrate`")
    return found


def knowledge_state(knowledge: Knowledge) -> tuple[bool, str]:
    """Whether the worlds come from a calibration, and which: words for a report."""
    found, reason = shipped_posterior(knowledge)
    if found is None or reason:
        return False, f"priors, not calibrated: {reason}"
    n = len(next(iter(found.draws.values())))
    return True, f"calibrated posterior, {n} draws ({found.path.name} of version {found.version})"


class _Hidden:
    """A value that a cache does not look at, since its key holds the hash of it."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=8)
def _evidence(sha256: str, hidden: _Hidden) -> tuple[str, frozenset[str]]:
    from crosstalk.study.protocol import earlier_doses
    from crosstalk.study.schema import read_study

    knowledge = hidden.knowledge
    parts: list[str] = []
    drugs: set[str] = set()
    for name in sorted(knowledge.study_files):
        study = read_study(name, knowledge)
        if study.role == "calibrate":
            earlier = earlier_doses(study.population, knowledge)
            parts.append(repr((study, earlier)))
            given = (*study.population.background, *earlier, *(d for a in study.arms for d in a.all_doses))
            drugs |= {d.drug for d in given}
    parts += [repr(knowledge.drug(drug)) for drug in sorted(drugs)]
    return hash_bytes(repr((parts, knowledge.discounts))), frozenset(drugs)


@functools.lru_cache(maxsize=8)
def _shipped(path: Path, stamp: int, sha256: str, hidden: _Hidden) -> tuple[PosteriorFile | None, str]:
    found = read_posterior(path)
    return found, found.stale(hidden.knowledge)


def possible_worlds(knowledge: Knowledge, seed: int, n: int) -> Worlds:
    """Worlds from the calibrated posterior, or from the priors where none fits the model.

    Parameters
    ----------
    n : int
        How many; 0 for the one world of all medians.
    """
    found, reason = shipped_posterior(knowledge)
    if found is None or reason:
        return prior_worlds(knowledge, seed, n) if n else median_world()
    return posterior_worlds(found, knowledge, seed, n)


def posterior_worlds(found: PosteriorFile, knowledge: Knowledge, seed: int, n: int) -> Worlds:
    """Worlds of a posterior; unknowns that it does not hold (those of a new drug) keep their priors.

    With ``n = 0`` the one world of its medians.

    Raises
    ------
    PopulationError
        If it lacks an unknown that the evidence speaks of, or leaves its bounds.
    """
    found.check(knowledge)
    known = {u.id for u in _calibrated(knowledge)} | set(knowledge.parameters)
    draws = {name: values for name, values in found.draws.items() if name in known}
    if n == 0:
        return Worlds({k: np.array([np.median(v)]) for k, v in draws.items()}, 1, "posterior", found.between)
    chosen = Worlds(draws, len(next(iter(draws.values()))), "posterior", found.between).sample(seed, n)
    return replace(chosen, values={**prior_worlds(knowledge, seed, n).values, **chosen.values})
