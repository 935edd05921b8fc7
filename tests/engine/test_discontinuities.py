"""Switches, events, singular Jacobians and small units: closed forms, whatever the step of the integrator is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crosstalk.engine import Ensemble, Problem, Status, get_engine

from .test_engines import sbml

Array = NDArray[np.float64]


def run(body: str, times: list[float], *outputs: str, rtol: float = 1e-8, **kwargs: object) -> Ensemble:
    n = int(kwargs.pop("n", 1))  # type: ignore[call-overload]
    problem = Problem(sbml(body), n, times_h=np.array(times), outputs=outputs, **kwargs)  # type: ignore[arg-type]
    return get_engine(jobs=1).simulate(problem, rtol=rtol)


def after_infusion(t: float, start: float, duration: float, rate: float, k: float) -> float:
    """Amount after an infusion at a constant rate."""
    if t <= start:
        return 0.0
    inside = min(t - start, duration)
    return rate / k * (1 - np.exp(-k * inside)) * np.exp(-k * (t - start - inside))


@given(start=st.floats(1.0, 8000.0), duration=st.floats(1e-3, 5.0), late=st.floats(0.0, 700.0))
def test_an_infusion_is_never_stepped_over(start: float, duration: float, late: float) -> None:
    body = "A = 0; k = 0.01; t0 = 1; d = 1; A' = piecewise(50, time >= t0 && time < t0 + d, 0) - k*A"
    parameters = {"t0": np.array([start]), "d": np.array([duration])}
    end = start + duration + late
    found = run(body, [0.0, end], "A", parameters=parameters)["A"][0, 1]
    assert found == pytest.approx(after_infusion(end, start, duration, 50.0, 0.01), rel=1e-6)


@pytest.mark.parametrize(
    "condition",
    [
        "time - 24*floor(time/24) < 2",
        "time - 24*(ceil(time/24) - 1) < 2 && time > 0",
        "floor((time - 24*floor(time/24))/2) < 1",
        "not(time - 24*floor(time/24) >= 2)",
    ],
)
def test_infusions_every_day(condition: str) -> None:
    times = [0.0, 24.0, 48.0, 700.0]
    found = run(f"A = 0; k = 0.1; A' = piecewise(10, {condition}, 0) - k*A", times, "A")["A"][0]
    wanted = [sum(after_infusion(t, 24.0 * day, 2.0, 10.0, 0.1) for day in range(30)) for t in times]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_pulses_that_are_curves_of_time_are_seen() -> None:
    bell = run("A = 0; A' = exp(-(time - 168)*(time - 168))", [0.0, 100.0, 8760.0], "A")["A"][0]
    np.testing.assert_allclose(bell, [0.0, 0.0, np.sqrt(np.pi)], rtol=1e-6, atol=1e-12)
    sine = run("A = 0; A' = piecewise(1, sin(0.5*time) > 0.9, 0)", [0.0, 8.0 * np.pi], "A")["A"][0]
    np.testing.assert_allclose(sine[1], 2 * 4 * np.arccos(0.9), rtol=1e-6)


@given(level=st.floats(0.05, 0.95), k=st.floats(0.01, 5.0))
def test_a_switch_on_a_state_changes_at_its_root(level: float, k: float) -> None:
    parameters = {"k": np.array([k]), "level": np.array([level])}
    body = "A = 1; B = 0; k = 1; level = 1; A' = -k*A; B' = piecewise(1, A < level, 0)"
    at = -np.log(level) / k
    found = run(body, [0.0, at + 3.0], "B", parameters=parameters)["B"][0, 1]
    assert found == pytest.approx(3.0, rel=1e-5)


def test_a_trap_between_two_directions_is_a_status() -> None:
    found = run("A = 1; A' = piecewise(-1, A > 0, 1)", [0.0, 0.5, 2.0], "A")
    assert found["A"][0, 1] == pytest.approx(0.5)
    assert found.failures[0].status is Status.STEP_LIMIT


@pytest.mark.parametrize("exponent", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("start", [0.0, 1e-20, 1e-9])
def test_a_jacobian_that_is_infinite_does_not_hold_a_state(exponent: float, start: float) -> None:
    body = f"A = {start}; B = 1; A' = 1 - 0.1*A^{exponent}; B' = -B"
    exact = run(f"A = 1; A' = 1 - 0.1*A^{exponent}", [0.0, 5.0], "A", rtol=1e-10)["A"][0, 1]
    # the autonomous course from near 0 reaches 1 at a time that depends on the exponent alone
    from scipy.integrate import quad

    delay = quad(lambda a: 1 / (1 - 0.1 * a**exponent), start, 1.0)[0]
    found = run(body, [0.0, delay + 5.0], "A")["A"][0, 1]
    assert found == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("unit", [1e-15, 1e-9, 1.0, 1e9])
def test_units_do_not_matter(unit: float) -> None:
    body = f"A = {unit}; B = 0; C = 0; k1 = 0.3; k2 = {0.5 / unit}; A' = -k1*A; B' = k1*A - 2*k2*B*B; C' = k2*B*B"
    found = run(body, [0.0, 4.0, 8.0, 20.0], "B", rtol=1e-6)["B"][0] / unit
    wanted = [0.0, 0.3399562, 0.2271183, 0.07808589]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_long_chain_from_nothing_and_growth_from_a_seed() -> None:
    from math import factorial

    chain = "; ".join(f"a{i} = 0; a{i}' = a{i - 1} - a{i}" for i in range(1, 10))
    found = run(f"a0 = 1e-9; a0' = -a0; {chain}", [0.0, 5.0], "a9", rtol=1e-6)["a9"][0, 1]
    assert found == pytest.approx(1e-9 * np.exp(-5) * 5**9 / factorial(9), rel=1e-4)
    seed = run("x = 1e-8; x' = 0.5*x*(1 - x)", [0.0, 40.0], "x", rtol=1e-6)["x"][0, 1]
    grown = 1e-8 * np.exp(20.0)
    assert seed == pytest.approx(grown / (1 + grown), rel=1e-4)


def test_the_absolute_tolerance_can_be_set() -> None:
    problem = Problem(sbml("A = 1e-9; A' = -A"), 1, times_h=np.array([0.0, 3.0]), outputs=("A",))
    coarse = get_engine().simulate(problem, rtol=1e-3, atol=1.0)["A"][0, 1]
    fine = get_engine().simulate(problem, rtol=1e-8, atol={"A": 1e-18})["A"][0, 1]
    assert fine == pytest.approx(1e-9 * np.exp(-3), rel=1e-6)
    assert abs(coarse - 1e-9 * np.exp(-3)) > abs(fine - 1e-9 * np.exp(-3))
    with pytest.raises(Exception, match="no state 'Z'"):
        get_engine().simulate(problem, atol={"Z": 1.0})


@pytest.mark.parametrize(
    "trigger",
    ["time >= td", "time > td", "time - td >= 0", "td <= time", "time >= 5 && time < 6", "2*time > td + 5", "x > 2.5"],
)
def test_events_at_times_that_are_parameters_states_or_windows(trigger: str) -> None:
    body = f"A = 0; x = 0; x' = 0.5; k = 0.1; td = 5; A' = -k*A; at ({trigger}): A = A + 10"
    found = run(body, [0.0, 4.9, 6.0, 10.0], "A")["A"][0]
    np.testing.assert_allclose(found, [0.0, 0.0, 10 * np.exp(-0.1), 10 * np.exp(-0.5)], rtol=1e-6)


def test_a_dosing_time_of_each_patient() -> None:
    body = "A = 0; k = 0.1; td = 5; A' = -k*A; at (time >= td): A = A + 10"
    at = np.array([0.5, 5.0, 9.0])
    found = run(body, [0.0, 10.0], "A", n=3, parameters={"td": at})["A"][:, 1]
    np.testing.assert_allclose(found, 10 * np.exp(-0.1 * (10 - at)), rtol=1e-6)


def test_two_events_at_one_time_go_by_priority() -> None:
    both = "A = 1; A' = 0; E1: at (time >= 1), priority = {}: A = A + 1; E2: at (time >= 1), priority = {}: A = A*10"
    first = run(both.format(2, 1), [0.0, 2.0], "A")["A"][0, 1]
    second = run(both.format(1, 2), [0.0, 2.0], "A")["A"][0, 1]
    # SBML evaluates assignments when the event is triggered
    assert (first, second) == (pytest.approx(10.0), pytest.approx(2.0))
    late = both.replace("at (", "at 0.5 after (").replace("priority = {}", "priority = {}, fromTrigger = false")
    assert run(late.format(2, 1), [0.0, 2.0], "A")["A"][0, 1] == pytest.approx(20.0)


def test_delays_and_events_that_do_not_persist() -> None:
    pulse = "x = 0; x' = piecewise(1, time < 1, -1); A = 0; A' = 0; at 0.9 after (x > 0.8), persistent = {}: A = A + 1"
    times = [0.0, 1.6, 1.8, 3.0]
    # the trigger holds from 0.8 to 1.2 only
    np.testing.assert_allclose(run(pulse.format("true"), times, "A")["A"][0], [0, 0, 1, 1])
    np.testing.assert_allclose(run(pulse.format("false"), times, "A")["A"][0], [0, 0, 0, 0])


def test_an_event_that_sets_off_another_and_one_that_never_ends() -> None:
    found = run("A = 0; B = 0; at (time > 1): A = 1; at (A > 0.5): B = 7", [0.0, 0.9, 1.1], "B")["B"][0]
    np.testing.assert_allclose(found, [0.0, 0.0, 7.0])
    loop = "A = 0; at (A < 1 && time > 1): A = 2; at (A > 1): A = 0"
    assert run(loop, [0.0, 2.0], "A").failures[0].status is Status.STEP_LIMIT


def test_a_bouncing_ball() -> None:
    body = "h = 10; v = 0; h' = v; v' = -9.81; at (h < 0): v = -0.8*v"
    found = run(body, [0.0, 2.0], "h")["h"][0, 1]
    fall = np.sqrt(2 * 10 / 9.81)
    up = 0.8 * 9.81 * fall
    assert found == pytest.approx(up * (2 - fall) - 9.81 / 2 * (2 - fall) ** 2, rel=1e-5)


def test_what_holds_in_one_lane_changes_no_other() -> None:
    body = "A = 0; k = 0.1; td = 5; A' = piecewise(1, A < td, 0) - k*A; at (A > td/2): A = A + 1"
    td = np.random.default_rng(4).uniform(1, 8, 40)
    problem = Problem(sbml(body), 40, {"td": td}, np.linspace(0, 30, 7), ("A",))
    together = get_engine(jobs=1).simulate(problem).values
    order = np.random.default_rng(5).permutation(40)
    mixed = get_engine(jobs=2).simulate(problem.take(order)).values
    assert mixed[np.argsort(order)].tobytes() == together.tobytes()


def test_a_user_event_says_what_it_can_do() -> None:
    from crosstalk.engine import Event
    from crosstalk.errors import UsageError

    with pytest.raises(UsageError, match="action 'multiply' is unknown; expected one of 'add', 'set'"):
        Event(1.0, "A", 2.0, "multiply")  # type: ignore[arg-type]


UNITS = [1e-15, 1e-9, 1.0, 1e9]
LATE = "A = 0; C = 0; r = 0; ka = 0.5; ke = 0.1; A' = r - ka*A; C' = ka*A - ke*C"


def absorbed(t: float, ka: float = 0.5, ke: float = 0.1) -> float:
    """Central amount at a time after the begin of an input of 1 per time into the depot."""
    return (1 - np.exp(-ke * t)) / ke - (np.exp(-ke * t) - np.exp(-ka * t)) / (ka - ke) if t > 0 else 0.0


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", [1e-3, 168.0, 1e5])
@pytest.mark.parametrize("rtol", [1e-4, 1e-8])
def test_an_input_that_begins_late_in_a_state_that_is_0(unit: float, start: float, rtol: float) -> None:
    from crosstalk.engine import Event

    times = [0.0, start, start + 1.0, start + 24.0, start + 300.0]
    found = run(LATE, times, "C", rtol=rtol, events=(Event(start, "r", unit, "set"),))
    wanted = [absorbed(t - start) for t in times]
    assert found.ok.all()
    np.testing.assert_allclose(found["C"][0] / unit, wanted, rtol=max(20 * rtol, 1e-9 * start / 10), atol=1e-12)


@pytest.mark.parametrize("unit", UNITS)
def test_courses_of_input_with_a_pause_in_which_everything_is_washed_out(unit: float) -> None:
    """As in a crossover: in the pause the amounts fall to 1e-40 of what they were."""
    from crosstalk.engine import Event

    periods = [(168.0, 300.0), (1300.0, 1400.0), (3000.0, 3200.0)]
    events = [Event(t, "r", rate, "set") for period in periods for t, rate in zip(period, (unit, 0.0), strict=True)]
    times = [0.0, 168.0, 200.0, 300.0, 320.0, 1300.0, 1301.0, 1390.0, 3150.0, 3300.0]
    found = run(LATE, times, "C", rtol=1e-7, events=tuple(events))
    wanted = [sum(absorbed(t - a) - absorbed(t - b) for a, b in periods) for t in times]
    assert found.ok.all()
    np.testing.assert_allclose(found["C"][0] / unit, wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("unit", UNITS)
def test_late_doses_in_another_unit_than_the_rest(unit: float) -> None:
    """A drug that is 0 up to a late bolus, then dosed daily, beside a state near 1."""
    from crosstalk.engine import Event

    body = f"{LATE}; x = 1; x' = 0.3*(1 - x) - C/{unit}/(10 + C/{unit})*x"
    doses = [168.0 + 24.0 * day for day in range(5)]
    times = [0.0, 168.0, 169.0, 240.0, 400.0]
    found = run(body, times, "C", "x", rtol=1e-7, events=tuple(Event(t, "A", unit) for t in doses))

    def bolus(t: float) -> float:
        return 0.5 / 0.4 * (np.exp(-0.1 * t) - np.exp(-0.5 * t)) if t > 0 else 0.0

    np.testing.assert_allclose(
        found["C"][0] / unit, [sum(bolus(t - d) for d in doses) for t in times], rtol=1e-5, atol=1e-12
    )
    assert found["x"][0, 0] == 1.0
    assert found["x"][0, 1] == pytest.approx(1.0, abs=1e-9)
    assert found["x"][0, 3] < 0.95


@pytest.mark.parametrize("rtol", [1e-4, 1e-8])
@pytest.mark.parametrize("start", [0.0, 168.0])
def test_a_late_start_where_the_jacobian_is_infinite(start: float, rtol: float) -> None:
    from crosstalk.engine import Event

    body = "A = 0; r = 0; A' = r - 0.1*A^0.5"
    found = run(body, [0.0, start + 5.0], "A", rtol=rtol, events=(Event(start, "r", 1.0, "set"),))["A"][0, 1]
    # time as a function of s = sqrt(A): -20 s - 200 ln(1 - s/10)
    s = np.sqrt(found)
    assert -20 * s - 200 * np.log1p(-s / 10) == pytest.approx(5.0, rel=20 * rtol)


@pytest.mark.parametrize("seed", [1e-9, 1e-12])
def test_growth_from_a_seed_that_is_made_along_the_course(seed: float) -> None:
    """Mutants arise at a small rate and multiply: a small error early is a large one later."""
    duration = 30 - 2 * np.log(seed * 1e9)
    for rtol in (1e-4, 1e-6):
        alone = run(f"R = 0; R' = {seed} + 0.5*R", [0.0, duration], "R", rtol=rtol)["R"][0, 1]
        assert alone == pytest.approx(2 * seed * np.expm1(duration / 2), rel=10 * rtol)
        pair = f"V = 0; I = 0; V' = I - V; I' = 4*V - I + {seed}"
        loop = run(pair, [0.0, duration], "V", rtol=rtol)["V"][0, 1]
        exact = seed * (np.exp(duration) / 4 + np.exp(-3 * duration) / 12 - 1 / 3)
        assert loop == pytest.approx(exact, rel=10 * rtol)


def test_a_step_that_neighbours_bisect_further_is_the_same() -> None:
    body = "A = 0; k = 0.1; td = 5; A' = piecewise(1, A < td, 0.9) - k*A; B = 0; B' = piecewise(1, A > td, 0)"
    td = np.random.default_rng(6).uniform(1, 8, 16)
    problem = Problem(sbml(body), 16, {"td": td}, np.linspace(0, 30, 7), ("A", "B"))
    together = get_engine(jobs=1).simulate(problem)
    assert together.ok.all()
    for i in range(16):
        alone = get_engine(jobs=1).simulate(problem.take(np.array([i])))
        assert alone.values.tobytes() == together.values[i : i + 1].tobytes()


@pytest.mark.parametrize(("condition", "begins", "fires"), [
    ("time > 0", "true", True), ("time > 0", "false", True), ("time >= 0", "true", False), ("time >= 0", "false", True),
    ("A < 5", "true", False), ("A < 5", "false", True),
])  # fmt: skip
def test_a_trigger_that_holds_only_just_after_the_start_fires_there(condition: str, begins: str, fires: bool) -> None:
    found = run(f"A = 1; A' = 0*A; at {condition}, t0={begins}: A = 9", [0.0, 1.0, 2.0], "A")
    assert found["A"][0, 1:].tolist() == [9.0 if fires else 1.0] * 2
