"""A model on a table of individuals: doses by closed formulas, both engines, every refusal with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstalk.engine.individuals import parse_times, run
from crosstalk.engine.model_file import add_inputs, open_model
from crosstalk.errors import CrosstalkError, ModelError, SimulationError, UsageError

ONE = """
model one
  compartment V = 10; species A in V; A = 0
  J: A -> ; CL*A
  CL = 2
end
"""
K = 2 / 10
TIMES = np.linspace(0.0, 24.0, 25)


def doses(**columns: object) -> pd.DataFrame:
    rows = max(len(v) for v in columns.values() if isinstance(v, list))
    return pd.DataFrame({"ID": ["1"] * rows, "CMT": ["A"] * rows, **columns})


def after(time: np.ndarray, begin: float, amount: float, rate: float = 0.0, k: float = K) -> np.ndarray:
    """Amount in one compartment with elimination ``k`` after a bolus or an infusion."""
    since = np.maximum(time - begin, 0.0)
    if rate == 0.0:
        # an output at the time of a dose shows what was there before it
        return np.where(time > begin, amount * np.exp(-k * since), 0.0)
    inside = np.minimum(since, amount / rate)
    return rate / k * (1 - np.exp(-k * inside)) * np.exp(-k * (since - inside))


def test_a_bolus_is_an_amount_over_each_ones_volume() -> None:
    people = pd.DataFrame({"ID": ["a", "b"], "V": [10.0, 25.0]})
    table = pd.DataFrame({"ID": ["a", "b"], "TIME": [0, 3], "AMT": [50, 50], "CMT": ["A", "A"]})
    result = run(ONE, TIMES, parameters=people, doses=table, rtol=1e-9)
    np.testing.assert_allclose(result["A"][0], after(TIMES, 0, 50) / 10, atol=1e-7)
    np.testing.assert_allclose(result["A"][1], after(TIMES, 3, 50, k=2 / 25) / 25, atol=1e-7)


def test_further_doses_add_up() -> None:
    result = run(ONE, TIMES, doses=doses(TIME=[1], AMT=[30], ADDL=[2], II=[6]), rtol=1e-9)
    expected = sum(after(TIMES, begin, 30) for begin in (1, 7, 13)) / 10
    np.testing.assert_allclose(result["A"][0], expected, atol=1e-7)


def test_infusions_that_overlap_add_up_and_end_exactly() -> None:
    table = doses(TIME=[0, 1, 12], AMT=[10, 20, 0.3], RATE=[2.5, 4, 0.1], ADDL=[0, 0, 1], II=[0, 0, 2])
    result = run(ONE, np.linspace(0, 400, 101), doses=table, outputs=["A", "input_A"], rtol=1e-9)
    parts = [(0, 10, 2.5), (1, 20, 4.0), (12, 0.3, 0.1), (14, 0.3, 0.1)]
    expected = sum(after(result.times, *part) for part in parts) / 10
    np.testing.assert_allclose(result["A"][0], expected, atol=1e-7)
    assert (result["input_A"][0][result.times > 17] == 0).all()


FORMS = {
    "rate rule on an amount": "A' = -k*A; A = 0; k = 0.2",
    "rate rule on a concentration": "compartment V = 4; species A in V; A = 0; A' = -k*A; k = 0.2",
    "amount of a species": "compartment V = 4; substanceOnly species A in V; A = 0; A -> ; k*A; k = 0.2",
    "volume that a rule changes": "compartment V; V := 4 + 0*time; species A in V; A = 0; A -> ; k*A*V; k = 0.2",
    "volume that grows": "compartment V; V' = 0.5; V = 4; species A in V; A = 0; A -> ; k*A*V; k = 0.2",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_whatever_holds_it_the_dose_is_an_amount(text: str) -> None:
    table = doses(TIME=[2, 8], AMT=[12, 6], RATE=[0, 3])
    result = run(text, TIMES, doses=table, outputs=["A", "V"] if "compartment" in text else ["A"], rtol=1e-9)
    size = 1.0 if "substance" in text or "compartment" not in text else result["V"][0]
    np.testing.assert_allclose(result["A"][0] * size, after(TIMES, 2, 12) + after(TIMES, 8, 6, 3), atol=1e-6)


def test_a_conversion_factor_does_not_change_the_dose() -> None:
    import libsbml

    document = libsbml.readSBMLFromString(open_model(ONE))
    factor = document.getModel().createParameter()
    factor.setId("f")
    factor.setConstant(True)
    factor.setValue(3.0)
    document.getModel().setConversionFactor("f")
    table = doses(TIME=[0], AMT=[12], RATE=[4])
    result = run(libsbml.writeSBMLToString(document), TIMES, doses=table, rtol=1e-9)
    np.testing.assert_allclose(result["A"][0], after(TIMES, 0, 12, 4, k=3 * K) / 10, atol=1e-7)


@pytest.mark.parametrize("level", [(1, 2), (2, 1), (2, 4), (2, 5), (3, 1), (3, 2)], ids=str)
def test_inputs_in_every_level(level: tuple[int, int]) -> None:
    import libsbml

    document = libsbml.readSBMLFromString(open_model(ONE))
    assert document.setLevelAndVersion(*level, False)
    result = run(libsbml.writeSBMLToString(document), TIMES, doses=doses(TIME=[0], AMT=[12], RATE=[4]), rtol=1e-9)
    np.testing.assert_allclose(result["A"][0], after(TIMES, 0, 12, 4) / 10, atol=1e-7)


def test_both_engines_give_the_same() -> None:
    pytest.importorskip("roadrunner")
    people = pd.DataFrame({"ID": ["a", "b", "c"], "V": [10.0, 25.0, 5.0], "A": [0.0, 1.0, 2.0]})
    table = pd.DataFrame(
        {"ID": ["a", "c", "c"], "TIME": [0.5, 3, 3], "AMT": [50, 20, 5], "RATE": [0, 10, 0], "CMT": ["A"] * 3}
    )
    fast, slow = (run(ONE, TIMES, parameters=people, doses=table, rtol=1e-9, engine=e) for e in ("fast", "reference"))
    np.testing.assert_allclose(fast.values, slow.values, rtol=1e-6, atol=1e-8)


def test_numbers_do_not_depend_on_who_else_is_in_the_table() -> None:
    people = pd.DataFrame({"ID": [str(i) for i in range(70)], "CL": np.linspace(1, 3, 70)})
    table = pd.DataFrame({"ID": people["ID"], "TIME": np.linspace(0, 9, 70), "AMT": 10.0, "CMT": "A"})
    both = run(ONE, TIMES, parameters=people, doses=table)
    alone = run(ONE, TIMES, parameters=people[33:34], doses=table[33:34])
    assert (both["A"][33] == alone["A"][0]).all()


def test_a_course_may_begin_late_and_failures_stay_with_their_individual() -> None:
    people = pd.DataFrame({"ID": ["a", "b"], "CL": [2.0, -1e4], "A": [1.0, 1.0]})
    result = run(ONE, "5:10:5", parameters=people)
    np.testing.assert_allclose(result["A"][0], np.exp(-K * np.array([5.0, 10.0])), rtol=1e-5)
    assert result.statuses[0] == "ok"
    assert "A" in result.statuses[1]
    assert np.isnan(result["A"][1]).all()
    frame = result.to_frame()
    assert list(frame) == ["ID", "time", "A", "status"]
    assert len(frame) == 4
    assert sum(result.reasons().values()) == 1
    with pytest.raises(SimulationError, match="individual 'b'"):
        run(ONE, "5:10:5", parameters=people, strict=True)


def test_what_has_no_value_is_named() -> None:
    text = "model m; species A; A -> ; k*A; k = 1; end"
    assert "(state A)" in run(text, "0:1:1").statuses[0]
    assert run(text, "0:1:1", parameters=pd.DataFrame({"A": [2.0]})).statuses == ("ok",)


def test_without_a_table_one_individual_runs() -> None:
    result = run("A' = -A; A = 1", [0.0, 1.0])
    assert result.ids == ("1",)
    assert result["A"][0, 1] == pytest.approx(np.exp(-1), rel=1e-5)
    with pytest.raises(UsageError, match="no output 'B'; expected A"):
        result["B"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [("0:1:0.1", np.arange(11) / 10), ("0,1,4", [0, 1, 4]), ("3:3:1", [3]), ([1, 2], [1, 2])],
    ids=str,
)
def test_times(times: object, expected: object) -> None:
    assert (parse_times(times) == expected).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("times", ["", "a:b:c", "0:1", "0:1:0", "5:1:1", "0:1:1e-9", "-1:1:1", "1,1", "nan", "0:inf:1"])
def test_other_times_are_refused(times: str) -> None:
    with pytest.raises(UsageError, match="times"):
        parse_times(times)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "column that is no parameter": (
        lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"ID": [1], "Cl": [1]})),
        "column 'Cl'.*did you mean 'CL'",
    ),
    "number": (lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"CL": ["x"]})), "line 0: CL is 'x'; expected"),
    "empty cell": (lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"CL": [1.0, np.nan]})), "line 1.*is empty"),
    "twice": (lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"ID": ["a", "a"]})), "'a' has a row already"),
    "no one": (lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"ID": []})), "has no rows"),
    "stranger": (
        lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"ID": ["b"]}), doses=doses(TIME=[0], AMT=[1])),
        "individual '1' is not in the table",
    ),
    "no ID": (
        lambda: run(ONE, "0:1:1", parameters=pd.DataFrame({"CL": [1.0]}), doses=doses(TIME=[0], AMT=[1])),
        "has no column ID",
    ),
    "steady state": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], SS=[1])), "SS is 1; .*not supported"),
    "modelled rate": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], RATE=[-2])), "RATE is -2"),
    "reset": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], EVID=[4])), "EVID is 4"),
    "negative": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[-1])), "AMT is -1"),
    "before": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[-1], AMT=[1])), "TIME is -1"),
    "no interval": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], ADDL=[3])), "expected the time between"),
    "half a dose": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], ADDL=[0.5], II=[1])), "whole number"),
    "covariate": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], WT=[70])), "unknown column 'WT'"),
    "no time": (lambda: run(ONE, "0:1:1", doses=doses(AMT=[1])), "needs the column TIME"),
    "number of a compartment": (
        lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], CMT=[1])),
        "CMT is 1, a number; .*--cmt 1=NAME",
    ),
    "no such target": (
        lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], CMT=["B"])),
        "no state or parameter 'B'",
    ),
    "nowhere": (lambda: run(ONE, "0:1:1", doses=doses(TIME=[0], AMT=[1], CMT=[""])), "add the column CMT"),
    "cmt without doses": (lambda: run(ONE, "0:1:1", cmt="A"), "give the doses"),
    "output": (lambda: run(ONE, "0:1:1", outputs=["B"]), "no variable 'B'"),
    "tolerance": (lambda: run(ONE, "0:1:1", rtol=2.0), "rtol is 2"),
    "too much": (
        lambda: run(ONE, "0:90000:1", parameters=pd.DataFrame({"CL": np.ones(10_000)})),
        "need more than 4 GB; name fewer",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_done_is_refused_with_its_place(call: Callable[[], object], message: str) -> None:
    with pytest.raises(CrosstalkError, match=message):
        call()


def test_an_infusion_needs_something_that_moves() -> None:
    fixed = open_model("model m; compartment V = 1; const species B in V; B = 1; species A in V; A = B; A -> ; A; end")
    with pytest.raises(ModelError, match="'B' cannot take an infusion"):
        add_inputs(fixed, ["B"])


def test_a_model_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.xml: there is no such file"):
        open_model(tmp_path / "nowhere.xml")
    (tmp_path / "a.xml").write_bytes(b"\x00\x01\xff")
    with pytest.raises(ModelError, match="no text"):
        open_model(tmp_path / "a.xml")
    (tmp_path / "b.ant").write_text("A -> B; k1*")
    with pytest.raises(ModelError, match=r"b\.ant: is no valid Antimony"):
        open_model(tmp_path / "b.ant")
    for name in ("c.xml", "d.SBML"):
        (tmp_path / name).write_text("not a model")
        with pytest.raises(ModelError, match="is no XML; expected a model in SBML"):
            open_model(tmp_path / name)
    with pytest.raises(ModelError, match="no valid SBML"):
        run("<sbml/>", "0:1:1")


def test_a_model_in_another_encoding(tmp_path: Path) -> None:
    text = open_model("A' = -A; A = 1").replace('encoding="UTF-8"', 'encoding="ISO-8859-1"')
    (tmp_path / "a.xml").write_bytes(text.replace("<model ", "<!-- \xb5 --><model ").encode("latin-1"))
    assert run(tmp_path / "a.xml", "0:1:1")["A"][0, 1] == pytest.approx(np.exp(-1), rel=1e-5)
