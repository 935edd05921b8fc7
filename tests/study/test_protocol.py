"""Doses to events: amounts, routes, rates, and the sum of what a patient gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstalk.engine.ensemble import Event
from crosstalk.errors import StudyError, UsageError
from crosstalk.knowledge import Knowledge, load_knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble
from crosstalk.study import read_study
from crosstalk.study.protocol import background, body_surface_m2, protocol

WEIGHT = np.array([60.0, 90.0])
HEIGHT = np.array([160.0, 180.0])
TABLET = Dose("tablet-a", 10, "mg", "oral", every_h=24)


def total(events: tuple[Event, ...], input_: str, depot: str, horizon_h: float) -> np.ndarray:
    """Amount that reached the body: additions plus the integral of the rate."""
    added = sum((np.zeros(2) + e.amount for e in events if e.target == depot and e.action == "add"), np.zeros(2))
    sets = [e for e in events if e.target == input_ and e.action == "set"]
    ends = [*(e.time_h for e in sets[1:]), *([horizon_h] if sets else [])]
    return added + sum(
        ((np.zeros(2) + e.amount) * (end - e.time_h) for e, end in zip(sets, ends, strict=True)), np.zeros(2)
    )


def test_placebo_has_no_events(knowledge: Knowledge) -> None:
    result = protocol((), knowledge, weight_kg=WEIGHT, horizon_h=2016)
    assert result.events == ()
    assert result.drugs == ()


def test_infusions_per_kg_enter_the_central_compartment(knowledge: Knowledge) -> None:
    dose = Dose("antibody-b", 5, "mg/kg", "iv", weeks=(0, 2, 6))
    result = protocol([dose], knowledge, weight_kg=WEIGHT, horizon_h=2016)
    assert [event.time_h for event in result.events] == [0, 336, 1008]
    assert {(event.target, event.action) for event in result.events} == {("antibody_b_central", "add")}
    np.testing.assert_allclose(result.events[0].amount, [300, 450])


def test_injections_enter_the_depot_times_their_bioavailability(knowledge: Knowledge) -> None:
    dose = Dose("antibody-b", 100, "ug", "sc", weeks=(1,))
    (event,) = protocol([dose], knowledge, weight_kg=WEIGHT, horizon_h=2016).events
    assert (event.time_h, event.target) == (168, "antibody_b_depot")
    assert event.amount == pytest.approx(0.1 * 0.8)


def test_daily_tablets_are_a_mean_rate(knowledge: Knowledge) -> None:
    (event,) = protocol([TABLET], knowledge, weight_kg=WEIGHT, horizon_h=2016).events
    assert (event.time_h, event.target, event.action) == (0, "tablet_a_input", "set")
    assert event.amount == pytest.approx(10 * 0.8 / 24)
    stopped = replace(TABLET, start_week=1.0, stop_week=3.0)
    start, stop = protocol([stopped], knowledge, weight_kg=WEIGHT, horizon_h=2016).events
    assert (start.time_h, stop.time_h, stop.amount) == (168, 504, 0)


def test_true_daily_gives_every_tablet(knowledge: Knowledge) -> None:
    events = protocol([TABLET], knowledge, weight_kg=WEIGHT, horizon_h=168, true_daily=True).events
    assert [event.time_h for event in events] == [24.0 * day for day in range(7)]
    assert {event.target for event in events} == {"tablet_a_depot"}


def test_weekly_doses_stay_single_doses(knowledge: Knowledge) -> None:
    events = protocol(
        [Dose("antibody-b", 10, "mg", "sc", every_h=168, stop_week=4)], knowledge, weight_kg=WEIGHT, horizon_h=2016
    ).events
    assert [event.time_h for event in events] == [0, 168, 336, 504]


def test_repeated_infusions_never_enter_the_depot(knowledge: Knowledge) -> None:
    both = protocol([Dose("antibody-b", 1, "mg", "iv", every_h=24)], knowledge, weight_kg=WEIGHT, horizon_h=72).events
    assert {event.target for event in both} == {"antibody_b_central"}
    only = protocol([Dose("infusion-c", 1, "mg", "iv", every_h=24)], knowledge, weight_kg=WEIGHT, horizon_h=72).events
    assert [(event.target, event.action) for event in only] == [("infusion_c_input", "set")]


def test_a_challenge_enters_its_state_per_kg_as_given(knowledge: Knowledge) -> None:
    (event,) = protocol(
        [Dose("toxin-e", 2, "ng/kg", "iv", weeks=(0,))], knowledge, weight_kg=WEIGHT, horizon_h=120
    ).events
    assert (event.target, event.amount) == ("LPS", 2.0)
    (event,) = protocol(
        [Dose("toxin-e", 120, "ng", "iv", weeks=(0,))], knowledge, weight_kg=WEIGHT, horizon_h=120
    ).events
    np.testing.assert_allclose(event.amount, [2, 120 / 90])


def test_doses_per_body_surface(knowledge: Knowledge) -> None:
    dose = Dose("cytokine-d", 20, "MIU/m2", "iv", weeks=(0,))
    (event,) = protocol([dose], knowledge, weight_kg=WEIGHT, height_cm=HEIGHT, horizon_h=120).events
    # Mosteller: sqrt(160 * 60 / 3600) and sqrt(180 * 90 / 3600)
    np.testing.assert_allclose(event.amount, [20 * 1.632993161855452, 20 * 2.1213203435596424])
    with pytest.raises(StudyError, match=r"needs the body surface.*height_cm"):
        protocol([dose], knowledge, weight_kg=WEIGHT, horizon_h=120)
    np.testing.assert_allclose(body_surface_m2(np.array([80.0]), np.array([180.0])), [2.0])


def test_doses_after_the_end_are_left_out(knowledge: Knowledge) -> None:
    dose = Dose("antibody-b", 5, "mg/kg", "iv", weeks=(0, 2, 6))
    assert len(protocol([dose], knowledge, weight_kg=WEIGHT, horizon_h=400).events) == 2
    late = replace(TABLET, start_week=4.0)
    assert protocol([late], knowledge, weight_kg=WEIGHT, horizon_h=400).events == ()


def test_events_come_in_order_of_time(knowledge: Knowledge) -> None:
    doses = [Dose("antibody-b", 5, "mg/kg", "iv", weeks=(2,)), replace(TABLET, start_week=1.0)]
    times = [event.time_h for event in protocol(doses, knowledge, weight_kg=WEIGHT, horizon_h=2016).events]
    assert times == sorted(times)


def test_titration_sets_the_rate_once_at_each_step(knowledge: Knowledge) -> None:
    doses = [replace(TABLET, stop_week=2.0), replace(TABLET, amount=20.0, start_week=2.0)]
    events = protocol(doses, knowledge, weight_kg=WEIGHT, horizon_h=2016).events
    assert [event.time_h for event in events] == [0, 336]
    assert [event.amount for event in events] == pytest.approx([10 * 0.8 / 24, 20 * 0.8 / 24])


def test_a_background_is_a_parameter_and_an_arms_dose_adds_to_it(knowledge: Knowledge) -> None:
    rate = 10 * 0.8 / 24
    settings_ = background([TABLET], knowledge, weight_kg=WEIGHT)
    np.testing.assert_allclose(settings_["tablet_a_input"], [rate, rate])
    alone = protocol((), knowledge, weight_kg=WEIGHT, horizon_h=2016, background=[TABLET])
    assert alone.drugs == ("tablet-a",)
    assert alone.events == ()
    extra = replace(TABLET, amount=5.0, start_week=1.0, stop_week=2.0)
    start, stop = protocol([extra], knowledge, weight_kg=WEIGHT, horizon_h=2016, background=[TABLET]).events
    assert start.amount == pytest.approx(1.5 * rate)
    assert stop.amount == pytest.approx(rate)


@pytest.mark.parametrize(
    "dose", [Dose("antibody-b", 5, "mg/kg", "iv", weeks=(0,)), Dose("toxin-e", 2, "ng/kg", "iv", every_h=24)]
)
def test_a_background_must_be_stable(knowledge: Knowledge, dose: Dose) -> None:
    with pytest.raises(StudyError, match="stable treatment"):
        background([dose], knowledge, weight_kg=WEIGHT)


def test_a_background_cannot_be_infused_through_the_depot(knowledge: Knowledge) -> None:
    with pytest.raises(StudyError, match="no mean rate"):
        background([Dose("antibody-b", 5, "mg", "iv", every_h=24)], knowledge, weight_kg=WEIGHT)


@pytest.mark.parametrize(
    ("dose", "part"),
    [
        (Dose("tablet-a", 10, "mL", "oral", every_h=24), "cannot be a dose of this drug"),
        (Dose("tablet-a", 10, "mg/L", "oral", every_h=24), "cannot be a dose of this drug"),
        (Dose("tablet-a", 10, "MIU", "oral", every_h=24), "cannot be a dose of this drug"),
        (Dose("toxin-e", 2, "ng/m2", "iv", weeks=(0,)), "cannot be a dose of this drug"),
        (Dose("tablet-a", 10, "mg", "sc", every_h=24), "received route 'sc', expected one of oral"),
    ],
)
def test_wrong_doses(knowledge: Knowledge, dose: Dose, part: str) -> None:
    with pytest.raises(StudyError, match=part):
        protocol([dose], knowledge, weight_kg=WEIGHT, height_cm=HEIGHT, horizon_h=120)


def test_wrong_bodies_and_unknown_drugs(knowledge: Knowledge) -> None:
    with pytest.raises(StudyError, match=r"weight_kg: received \[-1.0, nan\]"):
        protocol([TABLET], knowledge, weight_kg=np.array([-1.0, np.nan, 70.0]), horizon_h=120)
    with pytest.raises(StudyError, match="shape"):
        protocol([TABLET], knowledge, weight_kg=np.array(70.0), horizon_h=120)
    with pytest.raises(UsageError, match="tablet-a"):
        protocol([replace(TABLET, drug="tablet-x")], knowledge, weight_kg=WEIGHT, horizon_h=120)


@settings(deadline=None, max_examples=60)
@given(
    amount=st.floats(0.1, 500),
    every_h=st.sampled_from([6.0, 8.0, 12.0, 24.0, 48.0]),
    start=st.integers(0, 3),
    length=st.integers(1, 5),
    per_kg=st.booleans(),
)
def test_the_mean_rate_delivers_what_the_single_doses_deliver(
    knowledge: Knowledge, amount: float, every_h: float, start: int, length: int, per_kg: bool
) -> None:
    dose = Dose(
        "tablet-a", amount, "mg/kg" if per_kg else "mg", "oral", every_h=every_h, start_week=2.0 * start,
        stop_week=2.0 * (start + length),
    )  # fmt: skip
    amounts = [
        total(
            protocol([dose], knowledge, weight_kg=WEIGHT, horizon_h=3000, true_daily=daily).events,
            "tablet_a_input",
            "tablet_a_depot",
            3000,
        )
        for daily in (False, True)
    ]
    np.testing.assert_allclose(amounts[0], amounts[1], rtol=1e-9)
    count = 336 * length / every_h
    np.testing.assert_allclose(amounts[1], count * 0.8 * amount * (WEIGHT if per_kg else np.ones(2)), rtol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    spans=st.lists(st.tuples(st.floats(1, 100), st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=4),
    base=st.floats(0, 50),
)
def test_overlapping_doses_and_a_background_add(
    knowledge: Knowledge, spans: list[tuple[float, int, int]], base: float
) -> None:
    doses = [replace(TABLET, amount=a, start_week=float(s), stop_week=float(s + n)) for a, s, n in spans]
    stable = [replace(TABLET, amount=base)] if base > 0 else []
    horizon = 14 * 168.0
    events = protocol(doses, knowledge, weight_kg=WEIGHT, horizon_h=horizon, background=stable).events
    times = [event.time_h for event in events]
    assert times == sorted(set(times))
    rate = base * 0.8 / 24 if stable else 0.0
    before = rate * times[0]
    given_ = total(events, "tablet_a_input", "tablet_a_depot", horizon)[0] + before
    expected = rate * horizon + sum(a * 0.8 / 24 * n * 168 for a, _, n in spans)
    assert given_ == pytest.approx(expected)
    # everything that an arm adds has ended: the background alone is left
    assert events[-1].amount == pytest.approx(rate)


def test_the_assembled_model_has_every_target_of_the_shipped_studies() -> None:
    known = load_knowledge()
    model = assemble(tuple(known.drugs), known)
    for name in known.study_files:
        study = read_study(name)
        stable = study.population.background
        assert set(background(stable, known, weight_kg=WEIGHT, height_cm=HEIGHT)) <= set(model.constants)
        for arm in study.arms:
            plan = protocol(
                arm.doses,
                known,
                weight_kg=WEIGHT,
                height_cm=HEIGHT,
                horizon_h=study.duration_h,
                background=stable,
                true_daily=True,
            )
            plan_mean = protocol(
                arm.doses, known, weight_kg=WEIGHT, height_cm=HEIGHT, horizon_h=study.duration_h, background=stable
            )
            for event in (*plan.events, *plan_mean.events):
                assert event.target in (model.states if event.action == "add" else model.constants), (
                    name,
                    event.target,
                )
