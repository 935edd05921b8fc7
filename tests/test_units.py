"""Units as laboratories write them: spellings, round trips, and conversions that must be refused."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crosstalk.errors import UnitError
from crosstalk.units import KNOWN, convert, parse_unit

MASS = ["g/L", "mg/L", "ug/mL", "mg/dL", "ng/mL", "pg/mL", "ng/L", "ug/L"]
AMOUNT = ["mol/L", "mmol/L", "umol/L", "nmol/L", "uM", "nM", "pmol/L"]
values = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("µg/ml", "ug/mL"), ("μg/mL", "ug/mL"), ("mcg/mL", "ug/mL"), ("u[IU]/mL", "uIU/mL"), ("mU/L", "mIU/L"),
        ("10^9/L", "10*9/L"), ("x10^3/uL", "10*3/uL"), ("K/uL", "10*3/uL"), ("cells/mm3", "/uL"), ("kg/m²", "kg/m2"),
        ("{score}", "points"), ("percent", "%"), (" mg / L ", "mg/L"), ("years", "a"), ("mg/dl", "mg/dL"),
        ("mg per L", "mg/L"), ("U/mL", "IU/mL"),
    ],
)  # fmt: skip
def test_human_and_ucum_spellings(text: str, canonical: str) -> None:
    assert parse_unit(text) == canonical


@given(st.sampled_from(sorted(KNOWN)))
def test_a_canonical_unit_stays_as_it_is(unit: str) -> None:
    assert parse_unit(unit) == unit
    assert parse_unit(parse_unit(unit)) == parse_unit(unit)


@given(values, st.sampled_from(MASS), st.sampled_from(MASS))
def test_there_and_back(value: float, a: str, b: str) -> None:
    assert convert(convert(value, a, b), b, a) == pytest.approx(value, rel=1e-12)


@given(values, st.sampled_from(MASS), st.sampled_from(MASS), st.sampled_from(MASS))
def test_a_detour_changes_nothing(value: float, a: str, b: str, c: str) -> None:
    assert convert(convert(value, a, b), b, c) == pytest.approx(convert(value, a, c), rel=1e-12)


@given(values, st.sampled_from(MASS), st.sampled_from(AMOUNT), st.floats(10, 1e6))
def test_mass_and_amount_need_the_molar_mass(value: float, a: str, b: str, molar_mass: float) -> None:
    assert convert(convert(value, a, b, molar_mass=molar_mass), b, a, molar_mass=molar_mass) == pytest.approx(value)
    with pytest.raises(UnitError, match="molar mass"):
        convert(value, a, b)


def test_known_conversions() -> None:
    assert convert(1.0, "mg/dL", "mg/L") == 10.0
    assert convert(12.25, "mg/L", "umol/L", molar_mass=204.23) == pytest.approx(59.981, abs=1e-3)
    assert convert(5.0, "10*9/L", "/uL") == pytest.approx(5000.0)
    assert convert(1.0, "%", "1") == pytest.approx(0.01)


@given(st.sampled_from(["IU/L", "mIU/mL", "uIU/mL", "MIU"]), st.sampled_from(["mg", "ng/mL", "umol/L", "mol", "1"]))
def test_international_units_never_become_mass(a: str, b: str) -> None:
    with pytest.raises(UnitError):
        convert(1.0, a, b, molar_mass=5808.0)


def test_an_analyte_s_own_rule_comes_first() -> None:
    assert convert(10.0, "uIU/mL", "pmol/L", factors={"uIU/mL": 6.0}) == 60.0
    assert convert(10.0, "µIU/ml", "pmol/L", factors={"uIU/mL": 6.0}) == 60.0


@given(st.text(max_size=12))
def test_any_text_is_a_known_unit_or_a_helpful_error(text: str) -> None:
    try:
        assert parse_unit(text) in KNOWN
    except UnitError as error:
        assert "unknown unit" in str(error)
        assert "write it as" in str(error) or "did you mean" in str(error)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UnitError, match="did you mean"):
        parse_unit("mg/LL")


@given(st.sampled_from(MASS), st.sampled_from(["/uL", "kg", "h", "kg/m2", "%"]))
def test_other_dimensions_are_refused(a: str, b: str) -> None:
    assume(a != b)
    with pytest.raises(UnitError, match="does not convert"):
        convert(1.0, a, b)
