"""Results as JSON: what is written, and the schema that it keeps."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from crosstalk.calibrate.validation import Validation
from crosstalk.errors import UsageError
from crosstalk.twin.forecasts import CohortForecast
from crosstalk.twin.records import Assessment, Forecast, Provenance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Quantiles", "SimulatedArm", "SimulatedResult", "Simulation", "dump", "json_schema", "plain"]

DIGITS = 6  # significant digits written


@dataclasses.dataclass(frozen=True, slots=True)
class Quantiles:
    """Distribution of one variable in one arm at one time."""

    variable: str
    time_h: float
    n: int
    mean: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclasses.dataclass(frozen=True, slots=True)
class SimulatedArm:
    """One arm: patients enrolled, patients whose simulation failed, candidates screened."""

    arm: str
    patients: int
    failed: int
    screened: int
    quantiles: tuple[Quantiles, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class SimulatedResult:
    """A published result and its simulated counterpart."""

    endpoint: str
    of: str
    arm: str
    versus: str
    week: float | None
    stratum: str
    unit: str
    published: float | None
    published_se: float | None
    simulated: float | None
    simulated_se: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Simulation:
    """A study run on virtual patients; ``units`` are those of the variables, where they have one."""

    study: str
    title: str
    role: str
    seed: int
    patients: int
    arms: tuple[SimulatedArm, ...]
    results: tuple[SimulatedResult, ...]
    provenance: Provenance
    units: dict[str, str] = dataclasses.field(default_factory=dict)


KINDS = {
    "assess": Assessment, "forecast": Forecast, "forecasts": CohortForecast, "simulate": Simulation,
    "validate": Validation,
}  # fmt: skip


def dump(document: DataclassInstance) -> str:
    """Write a result as JSON text; the same result gives the same bytes.

    Numbers keep six significant digits; one that is not finite becomes null.
    """
    return json.dumps(plain(dataclasses.asdict(document)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """A value as JSON holds it: numbers with six significant digits, null for what is not finite."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def json_schema(name: str) -> dict[str, Any]:
    """JSON schema of a result.

    Parameters
    ----------
    name : {"assess", "forecast", "forecasts", "simulate", "validate"}

    Raises
    ------
    UsageError
        On another name.

    Examples
    --------
    >>> sorted(json_schema("forecast")["properties"])[:3]
    ['applicability', 'baseline', 'conclusion']
    """
    from pydantic import TypeAdapter

    if name not in KINDS:
        raise UsageError(f"unknown schema '{name}'; expected one of {', '.join(KINDS)}")
    schema = TypeAdapter(KINDS[name]).json_schema(mode="serialization")
    nullable: dict[str, Any] = _nullable(schema)
    return nullable


def _nullable(node: Any) -> Any:
    """A number that is not finite is written as null, so every number may be."""
    if isinstance(node, dict):
        if node.get("type") == "number":
            return {**node, "type": ["number", "null"]}
        return {k: _nullable(v) for k, v in node.items()}
    if isinstance(node, list):
        return [_nullable(v) for v in node]
    return node
