"""What several wells and dilutions of a sample say together, by hand."""

from __future__ import annotations

import pytest

from crosstalk.panel.plates.replicates import bound_of


@pytest.mark.parametrize(
    ("sign", "value", "dilution", "levels", "expected"),
    [
        ("<", 0.5, 1.0, (0.5, 500.0), 0.5),
        ("<", 0.5, 10.0, (0.5, 500.0), 5.0),  # the lowest standard: of the diluted well
        ("<", 5.0, 10.0, (0.5, 500.0), 5.0),  # already that of the sample
        (">", 500.0, 10.0, (0.5, 500.0), 5000.0),
        (">", 5000.0, 10.0, (0.5, 500.0), 5000.0),
        ("<", 0.5, 10.0, (), 5.0),  # without standards, as numbers are
        ("<", 2.0, 10.0, (0.5, 500.0), 20.0),  # neither: what says less
        (">", 2000.0, 10.0, (0.5, 500.0), 2000.0),
    ],
)
def test_a_bound_is_that_of_the_undiluted_sample(
    sign: str, value: float, dilution: float, levels: tuple[float, ...], expected: float
) -> None:
    assert bound_of(sign, value, dilution, levels)[0] == pytest.approx(expected)
