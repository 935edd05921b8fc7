"""Registries to write to, a key, and forecasts whose numbers are chosen: the registry looks at none of the model's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="the extra `registry` is not installed")

from crosstalk.panel.records import Measurement, Panel
from crosstalk.registry.database import Registry, open_registry
from crosstalk.registry.people import Register, nameless
from crosstalk.registry.pseudonyms import Key
from crosstalk.twin.records import (
    Applicability,
    Change,
    Forecast,
    Interval,
    MonteCarlo,
    Probability,
    Provenance,
    RegimenForecast,
    Trajectory,
)

MakeForecast = Callable[..., Forecast]
MakePanel = Callable[..., Panel]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "registry.sqlite", create=True) as opened:
        yield opened


@pytest.fixture
def key() -> Key:
    return Key(bytes(range(32)))


@pytest.fixture
def register(registry: Registry, key: Key) -> Register:
    return Register(registry, key)


def _forecast(pseudonym: str, mean: float = 12.0, half: float = 6.0, baseline: float = 22.0, p: float = 0.4,
                  regimen: str = "ssri") -> Forecast:  # fmt: skip
    """A forecast of one regimen whose score at week 12 has this mean and 90 % interval."""
    weeks = tuple(float(w) for w in range(13))
    means = tuple(baseline + (mean - baseline) * w / 12 for w in weeks)
    course = Trajectory(
        "HAMD17", "points", weeks, means, tuple(m - half for m in means), tuple(m + half for m in means)
    )
    chance = Probability(12.0, p, p / 2, min(1.0, 1.5 * p), 0.01, 0.1)
    one = RegimenForecast(
        regimen, regimen, (course,), Change("HAMD17", 12.0, mean - baseline, -1.0, 1.0, 0.1), chance, chance,
        Interval(0.0, 0.0, 0.0), 1.0, "", (),
    )  # fmt: skip
    return Forecast(
        pseudonym, 1, (), (), Applicability("inside", 100.0, 1000, (), (), ""), "HAMD17",
        Interval(baseline, baseline, baseline), regimen, (one,), (), "", (), MonteCarlo(100.0, 10, 0.01, 0.1, 0.1),
        Provenance("0.1.0", "m" * 64, "k" * 64, "i" * 64, "FastEngine", True, 1000, 900, 10, "made"),
    )  # fmt: skip


def _panel(patient: str = "someone", crp: float = 3.2) -> Panel:
    return Panel(
        patient,
        {"hsCRP": Measurement("hsCRP", crp, given=f"{crp} mg/L of {patient}", place=f"row of {patient}")},
        notes=(f"{patient} came late",),
        extra={"name": patient},
        person=patient,
    )


@pytest.fixture
def made_forecast() -> MakeForecast:
    return _forecast


@pytest.fixture
def made_panel() -> MakePanel:
    return _panel


@pytest.fixture
def add_to() -> Callable[..., str]:
    """Add a person with a forecast to a register, by a name; returns the pseudonym."""

    def add(register: Register, person: str, **chosen: float) -> str:
        name = register.pseudonym(person)
        return register.add(person, nameless(_panel(person), name), _forecast(name, **chosen))

    return add


@pytest.fixture
def added(register: Register, add_to: Callable[..., str]) -> Callable[..., str]:
    """The same, to the register of the test."""
    return partial(add_to, register)
