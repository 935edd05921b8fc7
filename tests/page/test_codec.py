"""Tables as bytes: what comes back is what went in, but for a known error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crosstalk.errors import OutputError
from crosstalk.page.codec import deflate, inflate, pack, unpack


@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.floats(-300, 300)))
def test_columns_come_back_within_half_a_step(table: np.ndarray) -> None:
    packed = pack(table, 0.1)
    assert np.abs(unpack(packed.layout, packed.content) - table).max() <= 0.05 + 1e-9


def test_components_hold_what_hangs_together(rng: np.random.Generator) -> None:
    table = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 40)) * 20
    packed = pack(table, 0.1, components=3)
    # the error of a step, shared by three components, in each of forty columns
    assert packed.error == pytest.approx(0.1 / np.sqrt(12) * np.sqrt(3 / 40), rel=0.1)
    assert len(packed.content) < table.astype("<f4").nbytes / 5


def test_wide_components_take_two_bytes() -> None:
    table = np.array([[-129.0, 5.0], [30_000.0, 6.0], [-30_000.0, 7.0]])
    packed = pack(table, 1.0)
    assert packed.layout.wide == (True, False)
    assert np.array_equal(unpack(packed.layout, packed.content), table)


def test_several_tables_in_one_stream(rng: np.random.Generator) -> None:
    tables = {
        "a": pack(rng.standard_normal((50, 4)), 0.01, components=2),
        "b": pack(np.arange(8.0)[:, None] * 100, 1.0),
    }
    found = inflate(deflate(tables), {name: t.layout for name, t in tables.items()})
    for name, t in tables.items():
        assert np.array_equal(found[name], unpack(t.layout, t.content))


@pytest.mark.parametrize(("value", "said"), [(np.nan, "not finite"), (1e9, "steps larger")])
def test_what_cannot_be_packed_is_refused(value: float, said: str) -> None:
    with pytest.raises(OutputError, match=said):
        pack(np.array([[value]]), 1.0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
