"""Predictions for running trials, fixed before the results are known, and judged when they are.

What is fixed: the design as its file says it, the posterior, the version, the date, and for each result that the trial
will report its counterparts in possible worlds. The entry in the audit trail holds the hash of all; its own hash is the
seal to be kept elsewhere.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from math import hypot, isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from sqlalchemy import insert, select

from crosstalk.calibrate.forward import ANOTHER, Forward, Progress
from crosstalk.calibrate.heterogeneity import between_studies
from crosstalk.calibrate.rivals import neutral
from crosstalk.calibrate.scores import Prediction, crps, quantile
from crosstalk.calibrate.targets import Target, Targets
from crosstalk.calibrate.validation import without_chance
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import RegistryError, StudyError
from crosstalk.evidence.listing import marker_text, stratum_text
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.calibrated import knowledge_state, possible_worlds
from crosstalk.population.worlds import Worlds
from crosstalk.provenance import package_version
from crosstalk.registry.chain import append, canonical, faults, now
from crosstalk.registry.database import Registry
from crosstalk.registry.people import posterior_hash
from crosstalk.registry.tables import AUDIT, FROZEN
from crosstalk.study.endpoints import error_scale, from_error_scale
from crosstalk.study.records import Result, Study
from crosstalk.study.schema import read_study

__all__ = ["Frozen", "FrozenVerdict", "Predicted", "freeze", "frozen_predictions", "judge_frozen", "shipped_trials"]

Array = NDArray[np.float64]

WORLDS, PATIENTS = 120, 100
Z90 = float(ndtri(0.95))


@dataclass(frozen=True, slots=True)
class Predicted:
    """What one result is predicted to be.

    The interval is for the truth in a trial of this kind: it holds what the model does not know and how far true
    effects differ between studies; the trial's own sampling error comes in when it is judged. ``centers`` are the
    counterparts in the possible worlds and ``between`` the SD between studies, both on the scale of the error.
    """

    key: str
    unit: str
    median: float
    lo90: float
    hi90: float
    centers: tuple[float, ...]
    between: float


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen prediction; ``seal`` is the hash of its entry in the audit trail."""

    number: int
    study: str
    title: str
    at: str
    seal: str
    posterior_sha256: str
    crosstalk: str
    results: tuple[Predicted, ...]


@dataclass(frozen=True, slots=True)
class FrozenVerdict:
    """A frozen prediction beside the result; ``place`` is the share of the prediction below it (0.5: in the middle)."""

    key: str
    unit: str
    predicted: float
    lo90: float
    hi90: float
    observed: float
    se: float
    inside90: bool
    place: float
    crps: float
    crps_no_effect: float | None


def shipped_trials() -> dict[str, Path]:
    """Registrations of running trials that ship, by id."""
    folder = Path(str(files("crosstalk.registry"))) / "trials"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def freeze(
    registry: Registry,
    study: str | Path,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    worlds: int = WORLDS,
    patients: int = PATIENTS,
    seed: int = 1,
    progress: Progress | None = None,
) -> Frozen:
    """Predict the results that a trial will report, and fix the prediction.

    Parameters
    ----------
    study : str or Path
        A study file with ``[[result]]`` tables without values, or the id of a registration that ships.
    worlds : int
        Possible worlds; each weighs alike.
    patients : int
        Virtual patients in each world; they run in two halves, see `crosstalk.calibrate.validation.without_chance`.

    Raises
    ------
    StudyError
        If the study has no result to predict, or one that has a value already.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    path = _file(study)
    plan = read_study(path, knowledge)
    known = [_key(r) for r in plan.results if r.value is not None]
    if known or not plan.results:
        raise StudyError(
            f"{path}: {'has a value of ' + known[0] if known else 'has no [[result]] to predict'}; a prediction is "
            "frozen for results that nobody knows yet, give their tables without a value"
        )
    found = _predict(plan, possible_worlds(knowledge, seed, worlds), knowledge, engine, seed, patients, progress)
    design = path.read_text("utf-8-sig")
    content = {
        "format": 1, "study": plan.id, "title": plan.title, "url": plan.url, "doi": plan.doi, "at": now(),
        "design": design, "crosstalk": package_version(), "model_sha256": assemble((), knowledge).sha256,
        "knowledge_sha256": knowledge.sha256, "posterior_sha256": posterior_hash(knowledge),
        "knowledge": knowledge_state(knowledge)[1], "worlds": worlds, "patients": patients, "seed": seed,
        "results": [_record(p) for p in found],
    }  # fmt: skip
    text = canonical(content)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with registry.writing() as connection:
        number, seal = append(connection, "freeze", study=plan.id, sha256=digest)
        connection.execute(insert(FROZEN).values(number=number, study=plan.id, content=text, sha256=digest))
    return _frozen(number, seal, content)


def _file(study: str | Path) -> Path:
    shipped = shipped_trials()
    path = shipped.get(str(study), Path(study))
    if not path.is_file():
        near = difflib.get_close_matches(str(study), shipped, n=1)
        raise StudyError(
            f"{study}: no such file; expected a study file or the id of a registration that ships "
            f"({', '.join(shipped)})" + (f"; did you mean {near[0]}?" if near else "")
        )
    return path


def _predict(
    plan: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine, seed: int, patients: int,
    progress: Progress | None,
) -> tuple[Predicted, ...]:  # fmt: skip
    items = tuple(Target(plan.id, k, r, float("nan"), float("nan"), "") for k, r in enumerate(plan.results))
    targets = Targets((plan,), items, np.full(len(items), np.nan), np.zeros((len(items), len(items))))
    halves = []
    for k, start in enumerate((seed, seed + ANOTHER)):
        if progress is not None:
            progress(f"{worlds.n} possible worlds", k / 2)
        forward = Forward(knowledge, engine, seed=start, plan={plan.id: max(patients // 2, 2)})
        halves.append(forward.counterparts(targets, worlds, "freeze"))
    found = []
    for target, column in zip(items, without_chance(*halves).T, strict=True):
        centers = column[np.isfinite(column)]
        if len(centers) < worlds.n / 2:
            raise StudyError(
                f"{plan.id}, {_key(target.result)}: only {len(centers)} of {worlds.n} worlds have patients for it; "
                "ask for more --patients, or drop the result"
            )
        between = between_studies(target, worlds.between, knowledge)
        made = Prediction(centers, max(between, 1e-9))
        low, middle, high = (from_error_scale(target.result.endpoint, quantile(made, q)) for q in (0.05, 0.5, 0.95))
        digits = tuple(float(f"{c:.6g}") for c in centers)
        found.append(
            Predicted(_key(target.result), target.result.unit, middle, low, high, digits, float(f"{between:.6g}"))
        )
    return tuple(found)


def _key(result: Result) -> str:
    """What tells a result from the others of its study."""
    who = " ".join(part for part in (result.arm, f"against {result.versus}" if result.versus else "") if part)
    parts = [result.endpoint, result.of, who]
    if result.stratum is not None:
        parts.append(stratum_text(result.stratum))
    if result.marker is not None:
        parts.append(marker_text(result.marker))
    parts += [part for part in (result.event, result.partner) if part]
    if result.time_h is not None:
        parts.append(f"week {result.time_h / 168:g}")
    return ", ".join(parts)


def _record(p: Predicted) -> dict[str, Any]:
    return {
        "key": p.key, "unit": p.unit, "median": p.median, "lo90": p.lo90, "hi90": p.hi90,
        "centers": list(p.centers), "between": p.between,
    }  # fmt: skip


def _frozen(number: int, seal: str, content: dict[str, Any]) -> Frozen:
    results = tuple(Predicted(**{**r, "centers": tuple(r["centers"])}) for r in content["results"])
    return Frozen(
        number, content["study"], content["title"], content["at"], seal, content["posterior_sha256"],
        content["crosstalk"], results,
    )  # fmt: skip


def frozen_predictions(registry: Registry, study: str | None = None, seal: str = "") -> tuple[Frozen, ...]:
    """Frozen predictions of one study or of all, oldest first.

    Raises
    ------
    RegistryError
        If a byte of the registry is not as it was written, or there is none.
    """
    with registry.reading() as connection:
        wrong = faults(connection, seal)
        if wrong:
            raise RegistryError(
                f"{registry.place}: does not fit together, so that nothing is judged: " + "; ".join(wrong)
            )
        wanted = select(FROZEN, AUDIT.c.hash).join(AUDIT, AUDIT.c.number == FROZEN.c.number).order_by(FROZEN.c.number)
        rows = connection.execute(wanted if study is None else wanted.where(FROZEN.c.study == study)).mappings().all()
    if study is not None and not rows:
        raise RegistryError(f"{registry.place}: holds no frozen prediction for {study}; `crosstalk registry freeze`")
    return tuple(_frozen(r["number"], r["hash"], json.loads(r["content"])) for r in rows)


def judge_frozen(
    registry: Registry, results: Study | str | Path, *, seal: str = "", knowledge: Knowledge | None = None
) -> tuple[Frozen, tuple[FrozenVerdict, ...]]:
    """Compare the first frozen prediction for a trial with its results.

    Parameters
    ----------
    results : Study, str or Path
        A study file with the id of the frozen one, and values.
    seal : str
        The hash that freezing printed, from where it was kept.

    Raises
    ------
    RegistryError
        If none was frozen, the registry was changed, or no result fits a prediction.
    """
    known = knowledge or load_knowledge()
    study = results if isinstance(results, Study) else read_study(results, known)
    frozen = frozen_predictions(registry, study.id, seal)[0]
    predicted = {p.key: p for p in frozen.results}
    verdicts = tuple(
        _verdict(predicted[_key(r)], r)
        for r in study.results
        if r.value is not None and r.se is not None and _key(r) in predicted
    )
    if not verdicts:
        raise RegistryError(
            f"{study.id}: none of the results with a value and an error is one of those predicted: "
            f"{'; '.join(predicted)}"
        )
    with registry.writing() as connection:
        append(connection, "judge", study=study.id, frozen=frozen.number, n=len(verdicts))
    return frozen, verdicts


def _verdict(p: Predicted, result: Result) -> FrozenVerdict:
    value, se = error_scale(result.endpoint, float(result.value or 0.0)), float(result.se or 0.0)
    made = Prediction(np.array(p.centers), max(hypot(p.between, se), 1e-9))
    low, middle, high = (quantile(made, q) for q in (0.05, 0.5, 0.95))
    zero = neutral(result)
    place = float(ndtr((value - made.centers) / made.spread).mean())
    none = None if zero is None or not isfinite(zero) else crps(Prediction(np.array([zero]), max(se, 1e-9)), value)
    natural = [from_error_scale(result.endpoint, x) for x in (middle, low, high, value)]
    return FrozenVerdict(
        p.key, p.unit or result.unit, natural[0], natural[1], natural[2], natural[3], se, bool(low <= value <= high),
        place, crps(made, value), none,
    )  # fmt: skip
