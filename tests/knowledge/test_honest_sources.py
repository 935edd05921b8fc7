"""What a source is said to give, it gives; what was fitted to data that are calibrated on again is left open."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Quantity, Source

NUMBER = re.compile(r"\d+(?:\.\d+)?")


def measured() -> Iterator[tuple[str, float, Source]]:
    """Every constant of the mechanism and of the drugs that is called measured."""
    knowledge = load_knowledge()
    for p in knowledge.parameters.values():
        if p.source.kind == "measured":
            yield p.id, p.value, p.source
    for drug in knowledge.drugs.values():
        quantities: list[tuple[str, Quantity]] = [
            *((f"{drug.id}.{name}", q) for name, q in (drug.pk | drug.bioavailability).items()),
            *((f"{drug.id}.{t.slot}.half", t.half) for t in drug.targets),
            *((f"{drug.id}.{t.slot}.maximum", t.maximum) for t in drug.targets if t.maximum is not None),
        ]
        yield from ((name, q.value, q.source) for name, q in quantities if q.source.kind == "measured")
        if drug.usual_source.kind == "measured":
            yield f"{drug.id}.usual", drug.usual.amount, drug.usual_source


@pytest.mark.parametrize(("name", "value", "source"), list(measured()), ids=lambda x: x if isinstance(x, str) else "")
def test_a_measured_constant_is_the_number_of_its_source(name: str, value: float, source: Source) -> None:
    """A rate that was computed from a half-life, or the middle of a range, is derived."""
    numbers = {float(text) for text in NUMBER.findall(source.place)}
    assert value in numbers or 100 * value in numbers, f"{name} = {value:g} is not in '{source.place}'; kind is derived"


def test_constants_fitted_to_the_endotoxin_data_have_wide_priors() -> None:
    """The same men are calibrated on: a narrow prior about that fit would count them twice."""
    fitted = [p for p in load_knowledge().parameters.values() if "scripts/fit_innate.py" in p.source.place]
    free = [p for p in fitted if p.prior != "fixed"]
    assert len(free) > 10
    assert {p.prior for p in free} == {"lognormal(0.7)"}
