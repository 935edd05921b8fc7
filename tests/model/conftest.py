"""One person under a protocol, as the tests of the model's behaviour need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble
from crosstalk.study.protocol import protocol

Array = NDArray[np.float64]
Course = Callable[..., dict[str, Array]]


@pytest.fixture(scope="session")
def course() -> Course:
    """Courses of some outputs in one person of 75 kg who starts healthy, shape (n_times,) each."""
    knowledge, engine = load_knowledge(), get_engine()

    def run(
        doses: Sequence[Dose], times_h: Array, outputs: Sequence[str], parameters: Mapping[str, float] | None = None
    ) -> dict[str, Array]:
        plan = protocol(doses, knowledge, weight_kg=np.array([75.0]), horizon_h=float(times_h[-1]))
        model = assemble(plan.drugs, knowledge)
        given = {k: np.array([v]) for k, v in (parameters or {}).items()}
        problem = Problem(model.sbml, 1, given, times_h, tuple(outputs), {}, plan.events, model.states)
        result = engine.simulate(problem, strict=True)
        return {o: result[o][0] for o in outputs}

    return run
