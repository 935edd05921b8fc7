"""Both engines against closed forms, and their statuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.engine import Engine, Event, Problem, Status, get_engine
from crosstalk.errors import ModelError, SimulationError, UsageError


def sbml(text: str) -> str:
    import antimony

    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(f"model m\n{text}\nend") >= 0, antimony.getLastError()
    return str(antimony.getSBMLString("m"))


DECAY = sbml("x' = -k*x + b; x = 2; k = 0.5; b = 0; y := 3*x")
ENGINES = ("fast", "reference")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return get_engine(request.param)


# two states, one zero of the rates that depends on the parameter a
COUPLED = sbml("x' = a - x; z' = x*x - z; x = 0; z = 0; a = 1; out := x + z")
# no steady state: x grows for ever
GROWTH = sbml("x' = k*x; x = 1; k = 0.01")
BLOW_UP = sbml("x' = k*x*x; x = 1; k = 0")
BISTABLE = sbml("x' = x - x*x*x + 0*k; x = 0; k = 1")


def one(text: str, **kwargs: object) -> Problem:
    return Problem(text, 1, times_h=np.array([0.0, 1.0, 4.0]), outputs=("x",), **kwargs)  # type: ignore[arg-type]


def test_decay_matches_the_closed_form(engine: Engine) -> None:
    times = np.linspace(0, 10, 21)
    rates = np.array([0.1, 0.5, 2.0])
    problem = Problem(DECAY, 3, {"k": rates}, times, ("x", "y"))
    result = engine.simulate(problem, rtol=1e-9)
    expected = 2 * np.exp(-rates[:, None] * times)
    np.testing.assert_allclose(result["x"], expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result["y"], 3 * expected, rtol=1e-6, atol=1e-9)
    assert result.ok.all()
    assert result.values.shape == (3, 2, 21)


@given(
    dose=st.floats(0.1, 100),
    at=st.floats(0.01, 3.9),
    k=st.floats(0.05, 3),
)
@pytest.mark.parametrize("name", ENGINES)
def test_a_dose_adds_its_own_exponential(name: str, dose: float, at: float, k: float) -> None:
    problem = one(DECAY, parameters={"k": np.array([k])}, events=(Event(at, "x", dose),))
    found = get_engine(name).simulate(problem, rtol=1e-9)["x"][0, -1]
    assert found == pytest.approx(2 * np.exp(-4 * k) + dose * np.exp(-k * (4 - at)), rel=1e-6)


def test_events_set_add_keep_their_order_and_an_output_shows_the_value_before(engine: Engine) -> None:
    events = (Event(1.0, "x", 5.0, "set"), Event(1.0, "x", np.array([2.0])), Event(0.0, "k", 0.0, "set"))
    found = engine.simulate(one(DECAY, events=events))["x"][0]
    np.testing.assert_allclose(found, [2.0, 2.0, 7.0])


def test_an_event_at_time_zero_comes_after_the_first_output(engine: Engine) -> None:
    found = engine.simulate(one(DECAY, parameters={"k": np.zeros(1)}, events=(Event(0.0, "x", 1.0),)))["x"][0]
    np.testing.assert_allclose(found, [2.0, 3.0, 3.0])


def test_a_poisoned_patient_changes_nobody_else(engine: Engine) -> None:
    k = np.array([0.3, np.nan, 0.7, np.inf, 0.9])
    problem = Problem(DECAY, 5, {"k": k}, np.array([0.0, 1.0, 2.0]), ("x",))
    result = engine.simulate(problem)
    clean = engine.simulate(problem.take(np.array([0, 2, 4])))
    np.testing.assert_array_equal(result.values[[0, 2, 4]], clean.values)
    assert {i: f.status for i, f in result.failures.items()} == {1: Status.INVALID_INPUT, 3: Status.INVALID_INPUT}
    assert result.failures[1].state == "k"
    assert np.isnan(result.values[1]).all()


def test_a_blow_up_is_a_status_with_state_and_time(engine: Engine) -> None:
    problem = Problem(BLOW_UP, 2, {"k": np.array([0.0, 1.0])}, np.array([0.0, 0.5, 3.0]), ("x",))
    result = engine.simulate(problem)
    assert result.ok.tolist() == [True, False]
    failure = result.failures[1]
    assert failure.status in (Status.STEP_LIMIT, Status.NON_FINITE)
    assert failure.state == "x"
    with pytest.raises(SimulationError, match="patient 1"):
        engine.simulate(problem, strict=True)


def test_a_negative_state_is_a_status(engine: Engine) -> None:
    problem = one(DECAY, parameters={"b": np.array([-3.0])}, nonnegative=("x",))
    failure = engine.simulate(problem).failures[0]
    assert failure.status is Status.NEGATIVE
    assert failure.state == "x"


@pytest.mark.parametrize("name", ENGINES)
def test_the_result_does_not_depend_on_jobs(name: str) -> None:
    rng = np.random.default_rng(1)
    problem = Problem(
        DECAY, 150, {"k": rng.uniform(0.1, 2, 150)}, np.linspace(0, 5, 6), ("x",), events=(Event(2.0, "x", 1.0),)
    )
    serial = get_engine(name, jobs=1).simulate(problem)
    pool = get_engine(name, jobs=2)
    try:
        np.testing.assert_array_equal(serial.values, pool.simulate(problem).values)
    finally:
        pool.close()


def test_the_result_does_not_depend_on_the_neighbours(engine: Engine) -> None:
    rng = np.random.default_rng(2)
    problem = Problem(COUPLED, 20, {"a": rng.uniform(0.1, 5, 20)}, np.linspace(0, 5, 6), ("x", "z"))
    everyone = engine.simulate(problem).values
    alone = engine.simulate(problem.take(np.array([17]))).values
    np.testing.assert_array_equal(everyone[17], alone[0])


def test_steady_state_matches_the_closed_form(engine: Engine) -> None:
    a = np.array([0.5, 2.0, 7.0])
    found = engine.steady_state(Problem(COUPLED, 3, {"a": a}))
    values = dict(zip(found.states, found.values.T, strict=True))
    np.testing.assert_allclose(values["x"], a, rtol=1e-9)
    np.testing.assert_allclose(values["z"], a**2, rtol=1e-9)
    assert (found.residual < 1e-10).all()


def test_a_parameter_is_solved_from_an_output(engine: Engine) -> None:
    wanted = np.array([2.0, 12.0, 0.75])  # a + a^2
    found = engine.steady_state(Problem(COUPLED, 3, {}), solve={"a": ("out", wanted)})
    np.testing.assert_allclose(found.solved["a"], [1.0, 3.0, 0.5], rtol=1e-8)


def test_no_steady_state_is_a_status(engine: Engine) -> None:
    found = engine.steady_state(Problem(GROWTH, 1, {}))
    assert not found.ok[0]


def test_an_unstable_steady_state_is_refused(engine: Engine) -> None:
    # x = 0 solves the rates of x - x^3 and is a repeller
    found = engine.steady_state(Problem(BISTABLE, 1, {}))
    assert found.failures[0].status is Status.UNSTABLE


def test_unknown_names_are_explained(engine: Engine) -> None:
    with pytest.raises(ModelError, match="'nothing'"):
        engine.simulate(one(DECAY, parameters={"nothing": np.ones(1)}))
    with pytest.raises(UsageError, match="unknown engine 'fast-and-loose'"):
        get_engine("fast-and-loose")
    with pytest.raises(UsageError, match="jobs = 0"):
        get_engine(jobs=0)


def test_to_frame_is_tidy(engine: Engine) -> None:
    frame = engine.simulate(Problem(DECAY, 2, {}, np.array([0.0, 1.0]), ("x", "y"))).to_frame()
    assert list(frame.columns) == ["patient", "time_h", "variable", "value"]
    assert len(frame) == 8
    row = frame[(frame.patient == 1) & (frame.variable == "y") & (frame.time_h == 0)]
    assert row["value"].item() == pytest.approx(6.0)


def test_a_far_target_is_approached_in_steps(engine: Engine) -> None:
    """The output saturates, so that Newton from afar overshoots."""
    text = sbml("x' = a*(1 - x) - x; x = 0; a = 0.05; y := x*x*x*x; odds := x/(1 - x)")
    found = engine.steady_state(Problem(text, 2, {}), solve={"a": ("y", np.array([0.5, 0.97]))})
    assert found.ok.all(), found.failures
    share = np.array([0.5, 0.97]) ** 0.25
    np.testing.assert_allclose(found.solved["a"], share / (1 - share), rtol=1e-6)
