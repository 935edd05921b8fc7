"""Small twins: panels typed by hand or measured on virtual patients, and a small virtual population for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin import twin
from crosstalk.twin.posterior import Posterior, infer

MakePanel = Callable[..., Panel]
Infer = Callable[..., Posterior]
SMALL = 1500


@pytest.fixture(scope="session")
def panel_of() -> MakePanel:
    """A panel from values by analyte; ``"<0.3"`` and ``">9"`` are censored. Names with a hyphen go into ``more``."""

    def make(more: dict[str, float | str] | None = None, **values: float | str) -> Panel:
        measurements = {}
        for name, value in {**values, **(more or {})}.items():
            if isinstance(value, str):
                side = "left" if value[0] == "<" else "right"
                measurements[name] = Measurement(name, float(value[1:]), side, given=value)  # type: ignore[arg-type]
            else:
                measurements[name] = Measurement(name, float(value))
        return Panel("A", measurements)

    return make


@pytest.fixture(scope="session")
def twin_of() -> Infer:
    """The posterior of a panel from a small virtual population."""

    def make(panel: Panel, *, seed: int = 1, n: int = SMALL, worlds: int = 20, jobs: int = 1) -> Posterior:
        engine = get_engine(jobs=jobs)
        try:
            return infer(panel, load_knowledge(), engine, seed=seed, virtual_patients=n, worlds=worlds)
        finally:
            engine.close()

    return make


@pytest.fixture(scope="module")
def small_population() -> Iterator[None]:
    """`assess` and `forecast` with a virtual population that is small instead of their own size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twin, "VIRTUAL_PATIENTS", SMALL)
        yield
