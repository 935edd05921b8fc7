"""A small calibration on a few studies, made once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crosstalk.calibrate.calibration import Calibration, Settings, calibrate
from crosstalk.calibrate.targets import Targets, gather
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.study.schema import read_study

STUDIES = ("windoloski2024", "uher2014")
SMALL = Settings(members=24, effort=0.15, seed=3)


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = get_engine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def targets(knowledge: Knowledge) -> Targets:
    return gather([read_study(s, knowledge) for s in STUDIES], knowledge)


@pytest.fixture(scope="session")
def told() -> list[float]:
    """Shares of the work that `small` said were done."""
    return []


@pytest.fixture(scope="session")
def small(knowledge: Knowledge, engine: Engine, targets: Targets, told: list[float]) -> Calibration:
    return calibrate(
        SMALL, knowledge=knowledge, engine=engine, targets=targets, progress=lambda _, share: told.append(share)
    )
