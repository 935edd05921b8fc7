"""Initial values that follow the patient, names that can be set, levels of SBML, the stand-in of the fast engine."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.engine import Event, Problem, get_engine
from crosstalk.engine.document import Unsupported, read_model, time_unit
from crosstalk.engine.fast import FastEngine
from crosstalk.errors import ModelError

from .test_engines import sbml

ONE_COMPARTMENT = """
  compartment V = 10; species A in V; A = dose/V; dose = 100; CL = 2
  B = 3*A; B' = 0; half = dose/2; J1: A -> ; CL*A
"""
TIMES = np.array([0.0, 1.0, 5.0])
L2 = """<?xml version="1.0"?>
<sbml xmlns="http://www.sbml.org/sbml/level2/version4" level="2" version="4"><model id="m">
<listOfCompartments><compartment id="c" size="1"/></listOfCompartments>
<listOfSpecies><species id="A" compartment="c" initialConcentration="1"/></listOfSpecies>
<listOfParameters><parameter id="k" value="0.1"/></listOfParameters>
<listOfReactions><reaction id="J" reversible="false"><listOfReactants><speciesReference species="A"/></listOfReactants>
<kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>k</ci><ci>A</ci></apply></math></kineticLaw>
</reaction></listOfReactions></model></sbml>"""


@pytest.mark.parametrize("name", ["fast", "reference"])
def test_initial_values_follow_dose_and_volume(name: str) -> None:
    dose, volume = np.array([100.0, 200.0, 200.0]), np.array([10.0, 10.0, 40.0])
    problem = Problem(sbml(ONE_COMPARTMENT), 3, {"dose": dose, "V": volume}, TIMES, ("A", "B", "half"))
    found = get_engine(name, jobs=1).simulate(problem, rtol=1e-8)
    wanted = (dose / volume)[:, None] * np.exp(-2.0 / volume[:, None] * TIMES)
    np.testing.assert_allclose(found["A"], wanted, rtol=1e-6)
    np.testing.assert_allclose(found["B"][:, -1], 3 * dose / volume)
    np.testing.assert_allclose(found["half"][:, -1], dose / 2)


def test_what_was_given_is_not_overruled() -> None:
    problem = Problem(
        sbml(ONE_COMPARTMENT), 2, {"dose": np.array([100.0, 200.0])}, TIMES, ("A", "B"), {"A": np.array([1.0, 2.0])}
    )
    found = get_engine().simulate(problem)
    np.testing.assert_allclose(found["A"][:, 0], [1.0, 2.0])
    np.testing.assert_allclose(found["B"][:, 0], [3.0, 6.0])


def test_sensitivities_know_that_the_start_follows() -> None:
    problem = Problem(sbml(ONE_COMPARTMENT), 1, {"dose": np.array([100.0])}, TIMES, ("A",))
    found = FastEngine().sensitivities(problem, ["dose", "CL"], rtol=1e-9).derivatives[0, :, 0]
    np.testing.assert_allclose(found[0], np.exp(-0.2 * TIMES) / 10, rtol=1e-5)
    np.testing.assert_allclose(found[1], -TIMES / 10 * 10 * np.exp(-0.2 * TIMES), rtol=1e-4, atol=1e-9)


def test_sensitivities_of_a_model_with_events_and_switches() -> None:
    body = "A = 0; k = 0.1; td = 5; A' = -k*A + piecewise(1, time < 2, 0); at (time >= td): A = A + 10"
    problem = Problem(sbml(body), 1, {}, np.array([0.0, 3.0, 10.0]), ("A",))
    found = FastEngine().sensitivities(problem, ["td", "k"], rtol=1e-10).derivatives[0, 0, 0]
    step = 1e-3 * 5
    up, down = (
        FastEngine().simulate(Problem(problem.sbml, 1, {"td": np.array([td])}, problem.times_h, ("A",)), rtol=1e-11)[
            "A"
        ]
        for td in (5 + step, 5 - step)
    )
    np.testing.assert_allclose(found, (up - down)[0] / (2 * step), rtol=1e-4, atol=1e-8)


def test_a_species_in_a_compartment_that_grows_is_set_and_dosed_by_its_name() -> None:
    text = sbml("compartment V = 1; V' = 0.1; species A in V; A = 1; J: A -> ; 0*A")
    problem = Problem(text, 1, {}, np.array([0.0, 5.0, 10.0]), ("A",))
    given = get_engine().simulate(Problem(text, 1, {}, problem.times_h, ("A",), {"A": np.array([2.0])}))["A"][0]
    np.testing.assert_allclose(given, [2.0, 2 / 1.5, 1.0], rtol=1e-6)
    dosed = Problem(text, 1, {}, problem.times_h, ("A",), events=(Event(5.0, "A", 1.0), Event(6.0, "A", 3.0, "set")))
    np.testing.assert_allclose(get_engine().simulate(dosed)["A"][0], [1.0, 1 / 1.5, 3 * 1.6 / 2.0], rtol=1e-6)


def test_a_local_parameter_is_named_in_the_message() -> None:
    local = '<listOfParameters><parameter id="kk" value="0.1"/></listOfParameters></kineticLaw>'
    text = L2.replace("</kineticLaw>", local).replace("<ci>k</ci>", "<ci>kk</ci>")
    with pytest.raises(ModelError, match=r"'kk' that can be set; did you mean 'J_kk'\?"):
        get_engine().simulate(Problem(text, 1, {"kk": np.ones(1)}, TIMES, ("A",)))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_level_2_needs_no_package_and_no_encoding(version: int) -> None:
    text = L2.replace("version4", f"version{version}").replace('version="4"', f'version="{version}"')
    if version == 1:
        text = text.replace("level2/version1", "level2")
    found = get_engine().simulate(Problem(text, 1, {}, TIMES, ("A",)), rtol=1e-8)["A"][0]
    np.testing.assert_allclose(found, np.exp(-0.1 * TIMES), rtol=1e-6)


def test_an_encoding_that_is_not_utf_8_and_a_byte_order_mark() -> None:
    for head in ('<?xml version="1.0" encoding="ISO-8859-1"?>', '\ufeff<?xml version="1.0" encoding="UTF-16"?>', ""):
        text = L2.replace('<?xml version="1.0"?>\n', head).replace('id="m"', 'id="m" name="Modèle"')
        assert get_engine().simulate(Problem(text, 1, {}, TIMES, ("A",))).ok.all()


def test_level_1_has_no_flag_for_a_compartment_that_moves() -> None:
    text = """<?xml version="1.0" encoding="UTF-8"?>
    <sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m">
    <listOfCompartments><compartment name="c" volume="2"/></listOfCompartments>
    <listOfSpecies><species name="S" compartment="c" initialAmount="1"/></listOfSpecies>
    <listOfRules><compartmentVolumeRule compartment="c" type="rate" formula="1"/></listOfRules>
    </model></sbml>"""
    found = get_engine().simulate(Problem(text, 1, {}, np.array([0.0, 2.0]), ("S", "c")))
    np.testing.assert_allclose(found["c"][0], [2.0, 4.0])
    np.testing.assert_allclose(found["S"][0], [0.5, 0.25])


def test_the_reference_engine_stands_in_and_says_so() -> None:
    text = sbml("species A; A = 4; n = 3; J: A -> ; 0.1*A*factorial(n)")
    problem = Problem(text, 1, {}, TIMES, ("A",))
    with pytest.warns(UserWarning, match="factorial.*libRoadRunner takes its place"):
        found = get_engine().simulate(problem)
    assert found.engine == "reference"
    np.testing.assert_allclose(found["A"][0], 4 * np.exp(-0.6 * TIMES), rtol=1e-4)
    assert get_engine().simulate(Problem(L2, 1, {}, TIMES, ("A",))).engine == "fast"


def test_the_reference_engine_reads_species() -> None:
    reference = get_engine("reference")
    found = reference.simulate(Problem(L2, 2, {"k": np.array([0.1, 0.3])}, TIMES, ("A",)), rtol=1e-8)["A"]
    np.testing.assert_allclose(found, np.exp(-np.array([[0.1], [0.3]]) * TIMES), rtol=1e-6)
    dosed = Problem(L2, 1, {}, TIMES, ("A",), {"A": np.array([2.0])}, (Event(1.0, "A", 1.0),))
    wanted = [2.0, 2 * np.exp(-0.1), (2 * np.exp(-0.1) + 1) * np.exp(-0.4)]
    np.testing.assert_allclose(reference.simulate(dosed, rtol=1e-8)["A"][0], wanted, rtol=1e-6)
    balance = sbml("compartment V = 4; species A in V; A = 1; k = 0.1; J: A -> ; V*k*A; K: -> A; 2")
    for name in ("fast", "reference"):
        steady = get_engine(name).steady_state(Problem(balance, 1))
        np.testing.assert_allclose(steady.values, [[5.0]], rtol=1e-8)


def test_the_time_is_told_in_the_unit_of_the_model() -> None:
    assert time_unit(read_model(L2).getModel()) == "s"
    assert time_unit(read_model(sbml("x = 1; x' = -x")).getModel()) == "time units"
    failure = get_engine().simulate(Problem(sbml("x = 1; x' = x*x"), 1, {}, np.array([0.0, 3.0]), ("x",))).failures[0]
    assert str(failure).endswith("time units")


def test_an_algebraic_rule_is_refused_by_both() -> None:
    text = L2.replace(
        "<listOfReactions>",
        "<listOfRules><algebraicRule><math xmlns='http://www.w3.org/1998/Math/MathML'><apply><minus/><ci>k</ci><cn>1</cn>"
        "</apply></math></algebraicRule></listOfRules><listOfReactions>",
    ).replace('<parameter id="k" value="0.1"/>', '<parameter id="k" value="0.1" constant="false"/>')
    with pytest.warns(UserWarning, match="algebraic rule"), pytest.raises(ModelError, match="lgebraic"):
        get_engine().simulate(Problem(text, 1, {}, TIMES, ("A",)))
    assert issubclass(Unsupported, ModelError)
