"""Units as laboratories write them: spellings, conversions against other software and published factors, refusals."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crosstalk.errors import UnitError
from crosstalk.knowledge import load_knowledge
from crosstalk.units import KNOWN, convert, line, parse_unit

MASS = ["g/L", "mg/L", "ug/mL", "mg/dL", "ng/mL", "pg/mL", "ng/L", "ug/L", "fg/mL"]
AMOUNT = ["mol/L", "mmol/L", "umol/L", "nmol/L", "uM", "nM", "pmol/L", "fmol/mL", "umol/dL"]
values = st.floats(1e-6, 1e6)
units = st.sampled_from(sorted(KNOWN))

# Name here, UCUM code, factor to SI base units, dimension. Made with ucumvert 0.3.2 on pint 0.25.3:
#     from ucumvert import PintUcumRegistry
#     u = PintUcumRegistry()
#     for name, code in codes:
#         q = (1 * u.from_ucum(code)).to_base_units()
#         dimension = "*".join(f"{k}:{int(v)}" for k, v in sorted(q.dimensionality.items())) or "1"
#         print(name, code, repr(q.magnitude), dimension)
# ucumvert reads an annotation alone, such as {score}, as no unit at all, so "points" is not in the table.
UCUMVERT = """
g/L g/L 0.9999999999999999 length:-3*mass:1; g/mL g/mL 999.9999999999999 length:-3*mass:1
g/dL g/dL 9.999999999999998 length:-3*mass:1; mg/L mg/L 0.0009999999999999998 length:-3*mass:1
mg/mL mg/mL 0.9999999999999999 length:-3*mass:1; mg/dL mg/dL 0.009999999999999998 length:-3*mass:1
ug/L ug/L 9.999999999999997e-07 length:-3*mass:1; ug/mL ug/mL 0.0009999999999999998 length:-3*mass:1
ug/dL ug/dL 9.999999999999999e-06 length:-3*mass:1; ng/L ng/L 1e-09 length:-3*mass:1
ng/mL ng/mL 1e-06 length:-3*mass:1; ng/dL ng/dL 9.999999999999999e-09 length:-3*mass:1
pg/L pg/L 9.999999999999998e-13 length:-3*mass:1; pg/mL pg/mL 1e-09 length:-3*mass:1
pg/dL pg/dL 1e-11 length:-3*mass:1; fg/L fg/L 1e-15 length:-3*mass:1
fg/mL fg/mL 9.999999999999998e-13 length:-3*mass:1; fg/dL fg/dL 1e-14 length:-3*mass:1
mol/L mol/L 999.9999999999999 length:-3*substance:1; mol/mL mol/mL 999999.9999999999 length:-3*substance:1
mol/dL mol/dL 9999.999999999998 length:-3*substance:1; mmol/L mmol/L 0.9999999999999999 length:-3*substance:1
mmol/mL mmol/mL 999.9999999999999 length:-3*substance:1; mmol/dL mmol/dL 9.999999999999998 length:-3*substance:1
umol/L umol/L 0.0009999999999999998 length:-3*substance:1; umol/mL umol/mL 0.9999999999999999 length:-3*substance:1
umol/dL umol/dL 0.009999999999999998 length:-3*substance:1; nmol/L nmol/L 1e-06 length:-3*substance:1
nmol/mL nmol/mL 0.001 length:-3*substance:1; nmol/dL nmol/dL 9.999999999999999e-06 length:-3*substance:1
pmol/L pmol/L 9.999999999999999e-10 length:-3*substance:1; pmol/mL pmol/mL 1e-06 length:-3*substance:1
pmol/dL pmol/dL 9.999999999999999e-09 length:-3*substance:1; fmol/L fmol/L 1e-12 length:-3*substance:1
fmol/mL fmol/mL 9.999999999999999e-10 length:-3*substance:1; fmol/dL fmol/dL 1e-11 length:-3*substance:1
mM mmol/L 0.9999999999999999 length:-3*substance:1; uM umol/L 0.0009999999999999998 length:-3*substance:1
nM nmol/L 1e-06 length:-3*substance:1; pM pmol/L 9.999999999999999e-10 length:-3*substance:1
fM fmol/L 1e-12 length:-3*substance:1; mol/mol mol/mol 1.0 1; mol/mmol mol/mmol 1000.0 1
mol/umol mol/umol 1000000.0 1; mmol/mol mmol/mol 0.001 1; mmol/mmol mmol/mmol 1.0 1; mmol/umol mmol/umol 1000.0 1
umol/mol umol/mol 1e-06 1; umol/mmol umol/mmol 0.001 1; umol/umol umol/umol 1.0 1; nmol/mol nmol/mol 1e-09 1
nmol/mmol nmol/mmol 1.0000000000000002e-06 1; nmol/umol nmol/umol 0.001 1; IU/L [IU]/L 999.9999999999999 length:-3
IU/mL [IU]/mL 999999.9999999999 length:-3; mIU/L m[IU]/L 0.9999999999999999 length:-3
mIU/mL m[IU]/mL 999.9999999999999 length:-3; uIU/L u[IU]/L 0.0009999999999999998 length:-3
uIU/mL u[IU]/mL 0.9999999999999999 length:-3; kIU/L k[IU]/L 999999.9999999999 length:-3
kIU/mL k[IU]/mL 999999999.9999999 length:-3; MIU/L M[IU]/L 999999999.9999999 length:-3
MIU/mL M[IU]/mL 999999999999.9999 length:-3; g/kg g/kg 0.001 1; mg/kg mg/kg 1e-06 1; ug/kg ug/kg 1e-09 1
ng/kg ng/kg 1.0000000000000002e-12 1; mg/h mg/h 2.7777777777777777e-10 mass:1*time:-1
mg/d mg/d 1.1574074074074074e-11 mass:1*time:-1; ug/h ug/h 2.777777777777778e-13 mass:1*time:-1
ug/d ug/d 1.1574074074074074e-14 mass:1*time:-1; ng/h ng/h 2.777777777777778e-16 mass:1*time:-1
ng/d ng/d 1.1574074074074074e-17 mass:1*time:-1; L/h L/h 2.7777777777777787e-07 length:3*time:-1
L/d L/d 1.1574074074074076e-08 length:3*time:-1; L/min L/min 1.666666666666667e-05 length:3*time:-1
mL/h mL/h 2.777777777777778e-10 length:3*time:-1; mL/d mL/d 1.1574074074074075e-11 length:3*time:-1
mL/min mL/min 1.666666666666667e-08 length:3*time:-1; L/h/kg L/h/kg 2.7777777777777787e-07 length:3*mass:-1*time:-1
L/d/kg L/d/kg 1.1574074074074076e-08 length:3*mass:-1*time:-1
L/min/kg L/min/kg 1.666666666666667e-05 length:3*mass:-1*time:-1
mL/h/kg mL/h/kg 2.777777777777778e-10 length:3*mass:-1*time:-1
mL/d/kg mL/d/kg 1.1574074074074075e-11 length:3*mass:-1*time:-1
mL/min/kg mL/min/kg 1.666666666666667e-08 length:3*mass:-1*time:-1; L/kg L/kg 0.0010000000000000002 length:3*mass:-1
mL/kg mL/kg 1.0000000000000002e-06 length:3*mass:-1; kg kg 1.0 mass:1; g g 0.001 mass:1; mg mg 1e-06 mass:1
ug ug 1e-09 mass:1; ng ng 1.0000000000000002e-12 mass:1; pg pg 1e-15 mass:1; [lb_av] [lb_av] 0.4535923700000001 mass:1
mol mol 1.0 substance:1; mmol mmol 0.001 substance:1; umol umol 1e-06 substance:1; nmol nmol 1e-09 substance:1
IU [IU] 1.0 1; MIU M[IU] 1000000.0 1; MIU/h M[IU]/h 277.77777777777777 time:-1; L L 0.0010000000000000002 length:3
dL dL 0.00010000000000000002 length:3; mL mL 1.0000000000000002e-06 length:3; uL uL 1.0000000000000003e-09 length:3
m m 1.0 length:1; cm cm 0.01 length:1; mm mm 0.001 length:1; [in_i] [in_i] 0.0254 length:1
[ft_i] [ft_i] 0.30479999999999996 length:1; m2 m2 1.0 length:2; kg/m2 kg/m2 1.0 length:-2*mass:1; h h 3600.0 time:1
min min 60.0 time:1; s s 1.0 time:1; d d 86400.0 time:1; wk wk 604800.0 time:1; mo mo 2629800.0 time:1
a a 31557600.0 time:1; 1/h /h 0.0002777777777777778 time:-1; 1/d /d 1.1574074074074073e-05 time:-1; % % 0.01 1
1 1 1.0 1; dimensionless 1 1.0 1; /uL /uL 999999999.9999999 length:-3; /mL /mL 999999.9999999999 length:-3
/L /L 999.9999999999999 length:-3; 10*3/uL 10*3/uL 999999999999.9999 length:-3
10*6/uL 10*6/uL 999999999999999.9 length:-3; 10*3/mL 10*3/mL 999999999.9999999 length:-3
10*6/mL 10*6/mL 999999999999.9999 length:-3; 10*6/L 10*6/L 999999999.9999999 length:-3
10*9/L 10*9/L 999999999999.9999 length:-3
"""
ORACLE = {row.split()[0]: row.split()[1:] for row in re.split(r"[;\n]", UCUMVERT) if row.strip()}


def kind(name: str) -> str:
    """Dimension of a unit: that of ucumvert, and what UCUM does not tell apart."""
    _, _, dimension = ORACLE[name]
    if "IU" in name:
        return f"IU*{dimension}"
    if re.fullmatch(r"[mun]?mol/[mun]?mol", name):
        return "ratio of amounts"
    return f"cells*{dimension}" if re.fullmatch(r"(10\*\d)?/(u|m)?L", name) else dimension


KINDS: dict[str, list[str]] = {}
for _name in ORACLE:
    KINDS.setdefault(kind(_name), []).append(_name)


def test_the_table_of_ucumvert_holds_every_unit() -> None:
    assert set(ORACLE) == set(KNOWN) - {"points"}
    assert convert(1.0, "points", "1") == convert(1.0, "{score}", "1") == 1.0


@pytest.mark.parametrize("name", ORACLE)
def test_the_ucum_code_is_read_and_its_factor_is_that_of_ucumvert(name: str) -> None:
    code, factor, _ = ORACLE[name]
    # molar and the bare number have two names here, and one in UCUM
    assert parse_unit(code) == name or name == "dimensionless" or name.endswith("M")
    for other in KINDS[kind(name)]:
        assert convert(1.0, code, other) == pytest.approx(float(factor) / float(ORACLE[other][1]), rel=1e-12)


@pytest.mark.parametrize(("one", "other"), list(combinations([names[0] for names in KINDS.values()], 2)))
def test_dimensions_never_mix(one: str, other: str) -> None:
    for a, b in ((one, other), (other, one)):
        with pytest.raises(UnitError, match="does not convert"):
            convert(1.0, a, b)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("µg/ml", "ug/mL"), ("μg/mL", "ug/mL"), ("mcg/mL", "ug/mL"), ("u[IU]/mL", "uIU/mL"), ("mU/L", "mIU/L"),
        ("10^9/L", "10*9/L"), ("x10^3/uL", "10*3/uL"), ("K/uL", "10*3/uL"), ("cells/mm3", "/uL"), ("kg/m²", "kg/m2"),
        ("{score}", "points"), ("percent", "%"), (" mg / L ", "mg/L"), ("years", "a"), ("mg/dl", "mg/dL"),
        ("mg per L", "mg/L"), ("U/mL", "IU/mL"), ("mg/l", "mg/L"), ("g/l", "g/L"), ("pmol/l", "pmol/L"),
        ("m[IU]/L", "mIU/L"), ("[IU]/L", "IU/L"), ("k[IU]/L", "kIU/L"), ("μU/mL", "uIU/mL"), ("mUI/L", "mIU/L"),
        ("{cells}/uL", "/uL"), ("10*3{cells}/uL", "10*3/uL"), ("10*9{cells}/L", "10*9/L"), ("cells/µL", "/uL"),
        ("x 10⁹/L", "10*9/L"), ("×10⁹ cells/L", "10*9/L"), ("10E3/uL", "10*3/uL"), ("10**3/uL", "10*3/uL"),
        ("/nL", "10*9/L"),
        ("K/cumm", "10*3/uL"), ("10*3/mm3", "10*3/uL"), ("thou/uL", "10*3/uL"), ("Tsd./µl", "10*3/uL"),
        ("G/L", "10*9/L"),
        ("mg.L-1", "mg/L"), ("mg·L⁻¹", "mg/L"), ("pg mL^-1", "pg/mL"), ("kg.m-2", "kg/m2"), ("kg m⁻²", "kg/m2"),
        ("㎎/㎗", "mg/dL"), ("mg%", "mg/dL"), ("mg/L{CRP}", "mg/L"), ("mmol/mol{Hb}", "mmol/mol"),
        ("mmol/mol Hb", "mmol/mol"),
        ("% of total Hb", "%"), ("%{Hb}", "%"), ("MG/DL", "mg/dL"), ("UG/L", "ug/L"), ("NMOL/L", "nmol/L"),
        ("[lb_av]", "[lb_av]"),
        ("lbs", "[lb_av]"), ("[in_i]", "[in_i]"), ("inches", "[in_i]"), ("{ratio}", "1"), ("", "1"),
        ("mcmol/L", "umol/L"),
        ("MIU", "MIU"), ("mIU/mL", "mIU/mL"), ("uM", "uM"), ("gm/dL", "g/dL"),
    ],
)  # fmt: skip
def test_human_and_ucum_spellings(text: str, canonical: str) -> None:
    assert parse_unit(text) == canonical


@pytest.mark.parametrize("text", ["Mg/L", "mG/L", "109/L", "mm[Hg]", "Cel", "mg/L/L", "[pH]", "mEq/L", "MMM", "/h/h"])
def test_what_is_no_unit_of_a_panel_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="unknown unit"):
        parse_unit(text)


@pytest.mark.parametrize(
    "text",
    [
        "NPX", "log2 NPX", "log2(NPX)", "NPQ", "RFU", "{RFU}", "{AU}/mL", "log10 RFU", "MFI", "RLU", "AU", "AU/mL",
        "a.u.", "arb. units",
        "[arb'U]/mL", "arbitrary units", "Ct", "Cq", "OD", "S/CO",
    ],
)  # fmt: skip
def test_relative_scales_are_refused_by_name(text: str) -> None:
    for other in ("pg/mL", "1", "%"):
        with pytest.raises(UnitError, match="a relative scale of one platform") as caught:
            convert(1.0, text, other, molar_mass=100.0)
        assert f"'{text}'" in str(caught.value)
        with pytest.raises(UnitError):
            convert(1.0, other, text)


@given(units)
def test_a_canonical_unit_stays_as_it_is(unit: str) -> None:
    assert parse_unit(unit) == unit
    assert parse_unit(parse_unit(unit)) == parse_unit(unit)


@given(values, st.sampled_from(sorted(KINDS)), st.data())
def test_there_and_back_and_by_a_detour(value: float, dimension: str, data: st.DataObject) -> None:
    a, b, c = (data.draw(st.sampled_from(KINDS[dimension])) for _ in range(3))
    assert convert(convert(value, a, b), b, a) == pytest.approx(value, rel=1e-12)
    assert convert(convert(value, a, b), b, c) == pytest.approx(convert(value, a, c), rel=1e-12)


@given(values, st.sampled_from(MASS), st.sampled_from(AMOUNT), st.floats(10, 1e6))
def test_mass_and_amount_need_the_molar_mass(value: float, a: str, b: str, molar_mass: float) -> None:
    assert convert(convert(value, a, b, molar_mass=molar_mass), b, a, molar_mass=molar_mass) == pytest.approx(value)
    with pytest.raises(UnitError, match="molar mass"):
        convert(value, a, b)


plain = units.filter(lambda unit: unit != "points" and not re.search("mass|substance", kind(unit)))


@given(plain, plain, st.floats(10, 1e6))
def test_a_molar_mass_opens_no_other_way(a: str, b: str, molar_mass: float) -> None:
    # the molar mass divides or multiplies once: g/kg, IU/L or /uL stay what they are
    assume(kind(a) != kind(b))
    with pytest.raises(UnitError, match="does not convert"):
        convert(1.0, a, b, molar_mass=molar_mass)


def test_known_conversions() -> None:
    assert convert(1.0, "mg/dL", "mg/L") == 10.0
    assert convert(12.25, "mg/L", "umol/L", molar_mass=204.23) == pytest.approx(59.981, abs=1e-3)
    assert convert(5.0, "10*9/L", "/uL") == pytest.approx(5000.0)
    assert convert(1.0, "%", "1") == pytest.approx(0.01)
    # exact by definition: NIST Handbook 44, appendix C
    assert convert(1.0, "[lb_av]", "kg") == pytest.approx(0.45359237, rel=1e-12)
    assert convert(1.0, "[in_i]", "cm") == pytest.approx(2.54, rel=1e-12)


@given(
    st.sampled_from(["IU/L", "mIU/mL", "uIU/mL", "MIU"]), st.sampled_from(["mg", "ng/mL", "umol/L", "mol", "1", "/uL"])
)
def test_international_units_never_become_mass(a: str, b: str) -> None:
    for pair in ((a, b), (b, a)):
        with pytest.raises(UnitError):
            convert(1.0, *pair, molar_mass=5808.0)


def test_an_analyte_s_own_rule_comes_first() -> None:
    assert convert(10.0, "uIU/mL", "pmol/L", factors={"uIU/mL": 6.0}) == 60.0
    assert convert(10.0, "µIU/ml", "pmol/L", factors={"uIU/mL": 6.0}) == 60.0
    assert line("mU/L", "pmol/L", factors={"mIU/L": 6}) == (6.0, 0.0)
    assert line("mg/dL", "mg/L") == (10.0, 0.0)


# HbA1c

# NGSP = 0.09148 IFCC + 2.152: http://www.ngsp.org/ifcc.asp, after Hoelzel and others, Clin Chem 2004;50:166-174
MASTER = {"mmol/mol": (0.09148, 2.152)}


@pytest.mark.parametrize(
    ("ifcc", "ngsp"),
    [(31, 5.0), (42, 6.0), (48, 6.5), (53, 7.0), (64, 8.0), (75, 9.0), (86, 10.0), (97, 11.0), (108, 12.0)],
)
def test_hba1c_of_the_ifcc_and_the_ngsp(ifcc: float, ngsp: float) -> None:
    """Pairs of the consensus tables, rounded there to 1 mmol/mol and 0.1 %."""
    assert round(convert(ifcc, "mmol/mol", "%", factors=MASTER), 1) == ngsp
    slope, intercept = line("mmol/mol{Hb}", "%", factors=MASTER)
    assert abs((ngsp - intercept) / slope - ifcc) < 0.6


def test_without_its_rule_a_ratio_of_amounts_is_no_per_cent() -> None:
    # plain arithmetic would call 53 mmol/mol 5.3 %, a healthy value
    with pytest.raises(UnitError, match="needs a rule of its analyte"):
        convert(53, "mmol/mol", "%")
    with pytest.raises(UnitError, match="needs a rule of its analyte"):
        convert(53, "mmol/mol", "1")
    assert convert(53, "mmol/mol", "umol/mmol") == 53
    assert convert(53, "%", "%", factors=MASTER) == 53


# Analytes: mass and amount

KNOWLEDGE = load_knowledge()
MOLAR = {id_: analyte.molar_mass for id_, analyte in KNOWLEDGE.analytes.items() if analyte.molar_mass}
# abridged standard atomic weights, Prohaska and others 2022, 10.1515/pac-2019-0603
WEIGHTS = {"C": 12.011, "H": 1.0080, "N": 14.007, "O": 15.999}
# molecular formulas; triglycerides as triolein, HDL and total cholesterol as cholesterol, by convention
FORMULAS = {
    "neopterin": "C9H11N5O4", "cortisol": "C21H30O5", "glucose": "C6H12O6", "triglycerides": "C57H104O6",
    "HDL": "C27H46O",
    "cholesterol": "C27H46O", "tryptophan": "C11H12N2O2", "kynurenine": "C10H12N2O3", "KYNA": "C10H7NO3",
    "QUIN": "C7H5NO4",
    "3-HK": "C10H12N2O4",
}  # fmt: skip
# conventional unit, SI unit, factor, source. SI: D. S. Young, Ann Intern Med 1987;106:114-129,
# 10.7326/0003-4819-106-1-114, as carried on in the AMA Manual of Style; labunits: labunits 0.2.1, made with
#     from labunits import converters
#     [converters.to_si_unit(1.0, loinc) for loinc in ("2345-7", "2571-8", "3070-0")]
PUBLISHED = [
    ("cortisol", "ug/dL", "nmol/L", 27.59, "SI"),
    ("glucose", "mg/dL", "mmol/L", 0.05551, "SI"),
    ("cholesterol", "mg/dL", "mmol/L", 0.02586, "SI"),
    ("HDL", "mg/dL", "mmol/L", 0.02586, "SI"),
    ("triglycerides", "mg/dL", "mmol/L", 0.01129, "SI"),
    ("tryptophan", "mg/dL", "umol/L", 48.97, "SI"),
    ("glucose", "mg/dL", "mmol/L", 0.05551, "labunits"),
    ("triglycerides", "mg/dL", "mmol/L", 0.01129, "labunits"),
    ("tryptophan", "mg/dL", "umol/L", 48.97, "labunits"),
]


def test_every_molar_mass_follows_from_the_formula() -> None:
    assert set(MOLAR) == set(FORMULAS)
    for id_, formula in FORMULAS.items():
        parts = re.findall(r"([A-Z])(\d*)", formula)
        assert MOLAR[id_] == pytest.approx(sum(WEIGHTS[e] * int(n or 1) for e, n in parts), rel=1e-4), id_


@pytest.mark.parametrize(("id_", "mass", "amount", "factor", "source"), PUBLISHED)
def test_published_factors_both_ways(id_: str, mass: str, amount: str, factor: float, source: str) -> None:
    # the published factors are rounded to four digits
    assert convert(1.0, mass, amount, molar_mass=MOLAR[id_]) == pytest.approx(factor, rel=5e-4)
    assert convert(factor, amount, mass, molar_mass=MOLAR[id_]) == pytest.approx(1.0, rel=5e-4)


@given(values, st.sampled_from(sorted(MOLAR)), st.sampled_from(MASS), st.sampled_from(AMOUNT))
def test_every_analyte_converts_both_ways(value: float, id_: str, mass: str, amount: str) -> None:
    molar_mass = MOLAR[id_]
    there = convert(value, mass, amount, molar_mass=molar_mass)
    assert convert(there, amount, mass, molar_mass=molar_mass) == pytest.approx(value, rel=1e-12)
    # by hand: grams per litre over grams per mole
    assert there * convert(1.0, amount, "mol/L") == pytest.approx(
        value * convert(1.0, mass, "g/L") / molar_mass, rel=1e-12
    )


def test_insulin_is_6_pmol_per_milliunit() -> None:
    """6.00, not the 6.945 of older tables and of labunits (20448-7): Knopp 2019, 10.1177/1932296818805074."""
    insulin = KNOWLEDGE.analytes["insulin"]
    assert convert(60.0, "pmol/L", insulin.unit, factors=insulin.units_by_rule) == pytest.approx(10.0)
    for unit in ("mU/L", "uIU/mL", "u[IU]/mL", "m[IU]/L"):
        assert convert(10.0, unit, insulin.unit, factors=insulin.units_by_rule) == 10.0


@given(st.text(max_size=12))
def test_any_text_is_a_known_unit_or_a_helpful_error(text: str) -> None:
    try:
        assert parse_unit(text) in KNOWN
    except UnitError as error:
        said = str(error)
        assert "unknown unit" in said or "a relative scale" in said
        assert any(remedy in said for remedy in ("write it as", "did you mean", "ask for concentrations"))


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UnitError, match="did you mean"):
        parse_unit("mg/LL")
