"""A calibration as a netCDF file in the groups of ArviZ, written whole or not at all."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.calibration import Calibration, Settings
from crosstalk.calibrate.forward import Plan
from crosstalk.calibrate.heterogeneity import Heterogeneity, widening
from crosstalk.calibrate.learning import LearningRate
from crosstalk.calibrate.targets import describe, gather, studies_of
from crosstalk.errors import CalibrationError, PopulationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.calibrated import read_posterior, sealed, unsealed
from crosstalk.population.worlds import Worlds, prior_scores
from crosstalk.provenance import atomic_write, package_version

__all__ = ["Counterparts", "read_calibration", "read_counterparts", "write_calibration"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counterparts:
    """Fitted results of a calibration and their counterparts in the worlds of its prior.

    Attributes
    ----------
    ids, descriptions : tuple of str, length n_targets
    errors, chance : array, shape (n_targets,)
        Errors that the calibration gave them, and the variance by chance of finite numbers of patients in these.
    before : array, shape (n_worlds, n_targets)
        On the scale of the errors; NaN where a world has no patients for one.
    prior : Worlds
    """

    ids: tuple[str, ...]
    descriptions: tuple[str, ...]
    errors: Array
    chance: Array
    before: Array
    prior: Worlds


def write_calibration(path: Path, calibration: Calibration) -> Path:
    """Write a calibration.

    Groups: ``posterior`` and ``prior`` (a variable per unknown, dimensions chain and draw), ``unconstrained_posterior``
    (normal scores under the prior), ``posterior_predictive`` and ``prior_predictive`` (counterparts of the targets on
    the scale of their errors), ``observed_data``, ``constant_data`` (errors and descriptions of the targets). The file
    ends with a checksum of all of it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import h5netcdf

    c = calibration
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.attrs.update(
            model=c.model, evidence=c.evidence, crosstalk=package_version(), seed=c.settings.seed,
            members=c.settings.members, effort=c.settings.effort, fixed=json.dumps(dict(c.settings.fixed)),
            heterogeneity=json.dumps([asdict(h) for h in c.heterogeneity]),
            rates=json.dumps([asdict(r) for r in c.rates]),
        )  # fmt: skip
        for name, worlds in (("posterior", c.worlds), ("prior", c.prior_worlds)):
            group = _draws(file, name, c.settings.members)
            for unknown, column in worlds.values.items():
                _put(group, unknown, ("chain", "draw"), column[None, :])
        group = _draws(file, "unconstrained_posterior", c.settings.members)
        group.dimensions["unknown"] = len(c.unknowns)
        _put(group, "unknown", ("unknown",), _texts([u.id for u in c.unknowns]))
        _put(group, "score", ("chain", "draw", "unknown"), c.scores[None])
        ids = _texts([t.id for t in c.targets.items])
        for name, values in (("posterior_predictive", c.after), ("prior_predictive", c.before)):
            group = _draws(file, name, c.settings.members)
            group.dimensions["target"] = len(ids)
            _put(group, "target", ("target",), ids)
            _put(group, "counterpart", ("chain", "draw", "target"), values[None].astype(np.float32))
        group = file.create_group("observed_data")
        group.dimensions["target"] = len(ids)
        _put(group, "target", ("target",), ids)
        _put(group, "value", ("target",), c.targets.values)
        group = file.create_group("constant_data")
        group.dimensions["target"] = len(ids)
        _put(group, "target", ("target",), ids)
        _put(group, "description", ("target",), _texts([describe(t.result) for t in c.targets.items]))
        _put(group, "error", ("target",), np.sqrt(np.diag(c.targets.covariance)))
        _put(group, "chance", ("target",), c.plan.chance)
        _put(group, "patients", ("target",), np.array([c.plan.patients[t.study] for t in c.targets.items], dtype=float))
    return atomic_write(path, sealed(buffer.getvalue()))


def read_calibration(path: Path, knowledge: Knowledge) -> Calibration:
    """Read a calibration that belongs to the knowledge base as it is.

    Raises
    ------
    PopulationError
        If the file is no calibration, or was changed.
    CalibrationError
        If it was made for another model or other evidence.
    """
    import h5netcdf

    found = read_posterior(path)
    reason = found.stale(knowledge)
    if reason:
        raise CalibrationError(f"{path}: {reason}; make it again with `crosstalk calibrate`")
    found.check(knowledge)
    with h5netcdf.File(unsealed(path), "r") as file:
        a = file.attrs
        fixed = tuple((str(k), float(v)) for k, v in json.loads(str(a["fixed"])).items())
        settings = Settings(int(a["members"]), float(a["effort"]), int(a["seed"]), fixed)
        scores = _read(file, "unconstrained_posterior", "score")[0]
        before, after = (_read(file, f"{n}_predictive", "counterpart")[0] for n in ("prior", "posterior"))
        chance = _read(file, "constant_data", "chance")
        patients = _read(file, "constant_data", "patients").astype(int)
        model, evidence = str(a["model"]), str(a["evidence"])
        between = tuple(Heterogeneity(**entry) for entry in json.loads(str(a["heterogeneity"])))
        rates = tuple(LearningRate(**entry) for entry in json.loads(str(a["rates"])))
    targets = gather(studies_of("calibrate", knowledge), knowledge)
    plan = Plan({t.study: int(p) for t, p in zip(targets.items, patients, strict=True)}, chance)
    known = settings.unknowns(knowledge)
    prior = prior_scores(known, settings.seed, settings.members)
    extra = np.diag(chance) + widening(between, targets, knowledge)
    return Calibration(
        settings, known, prior, scores, targets.widened(extra), before, after, plan, between, rates, model, evidence
    )


def read_counterparts(path: Path) -> Counterparts:
    """Read the fitted results of a calibration and what they were in the worlds of its prior.

    Raises
    ------
    PopulationError
        If the file is no calibration.
    """
    import h5netcdf

    try:
        with h5netcdf.File(path, "r") as file:
            constant = file.groups["constant_data"].variables
            ids, words = (tuple(t.decode() for t in constant[n][...]) for n in ("target", "description"))
            errors, chance = (_read(file, "constant_data", n) for n in ("error", "chance"))
            before = _read(file, "prior_predictive", "counterpart")[0]
            draws = {
                name: np.asarray(v[...], dtype=np.float64).reshape(-1)
                for name, v in file.groups["prior"].variables.items()
                if v.dimensions == ("chain", "draw")
            }
    except (OSError, KeyError) as error:
        raise PopulationError(
            f"{path}: is no calibration ({error}); expected a file written by `crosstalk calibrate`"
        ) from error
    return Counterparts(ids, words, errors, chance, before, Worlds(draws, len(before), "prior"))


def _draws(file: Any, name: str, n: int) -> Any:
    group = file.create_group(name)
    group.dimensions.update(chain=1, draw=n)
    _put(group, "chain", ("chain",), np.arange(1))
    _put(group, "draw", ("draw",), np.arange(n))
    return group


def _put(group: Any, name: str, dimensions: tuple[str, ...], values: NDArray[Any]) -> None:
    packed = {} if values.dtype.kind == "S" or values.size < 512 else {"compression": "gzip", "shuffle": True}
    group.create_variable(name, dimensions, data=values, **packed)


def _texts(texts: list[str]) -> NDArray[np.bytes_]:
    return np.array([t.encode() for t in texts])


def _read(file: Any, group: str, name: str) -> Array:
    return np.asarray(file.groups[group].variables[name][...], dtype=np.float64)
