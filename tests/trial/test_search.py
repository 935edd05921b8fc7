"""The search over designs, and its front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import TrialError, UsageError
from crosstalk.knowledge import load_knowledge
from crosstalk.trial.characteristics import Value
from crosstalk.trial.plan import read_trial
from crosstalk.trial.search import Candidate, Space, _candidate, _treated, default_space, optimise, pareto

SMALL = Path(__file__).parent / "small.toml"


def candidate(power: float, screened: float, n: int = 10) -> Candidate:
    return Candidate("drug", 1.0, None, n, 4.0, Value(power, 0.0), Value(screened, 0.0), None)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    found = pareto([candidate(p / 5, s) for p, s in pairs])
    front = [(c.power.value, c.screened.value) for c in found if c.front]
    assert front
    for c in found:
        beaten = any(
            o.power.value >= c.power.value and o.screened.value <= c.screened.value
            and (o.power.value, o.screened.value) != (c.power.value, c.screened.value)
            for o in found
        )  # fmt: skip
        if c.front:
            assert not beaten
        else:
            assert beaten or (c.power.value, c.screened.value) in front


def test_a_design_that_cannot_be_done_is_never_on_the_front() -> None:
    nan = float("nan")
    found = pareto([candidate(nan, nan), candidate(0.5, 100)])
    assert [c.front for c in found] == [True, False]


def test_more_patients_and_a_sharper_marker(made: Any) -> None:
    design = made.design(kind="enrichment", marker=made.marker, n=60)
    base = made.setting(design, by_marker=8.0, noise=0.3)
    low, high = (_candidate(base, ("drug", 1.0, cut, 60, 4.0), 120, 1) for cut in (0.5, 3.5))
    large = _candidate(base, ("drug", 1.0, 0.5, 160, 4.0), 120, 1)
    assert high.power.value > low.power.value + 0.2
    assert high.screened.value > 2 * low.screened.value
    assert large.power.value > low.power.value
    early = _candidate(base, ("drug", 1.0, 3.5, 60, 0.0 + 1), 120, 1)
    assert early.week == 1
    nobody = _candidate(base, ("drug", 1.0, 1e9, 60, 4.0), 5, 1)
    assert "lower the cut-off" in nobody.note


def test_a_trial_with_an_earlier_endpoint_ends_there(made: Any) -> None:
    design = made.design(costs=made.replace(made.design().costs, visit=1.0), n=40)
    base = made.setting(design)
    costs = [_candidate(base, ("drug", 1.0, None, 40, week), 4, 1).cost for week in (1.0, 4.0)]
    assert costs == [40 * 2, 40 * 4]


def test_one_arm_at_a_time_keeps_its_ratio() -> None:
    study = read_trial(SMALL, load_knowledge())
    assert study.trial is not None
    third = replace(study.arms[0], id="third")
    trial = replace(study.trial, allocation={"placebo": 0.25, "escitalopram": 0.5, "third": 0.25}, block=8)
    found = _treated(replace(study, arms=(*study.arms, third), trial=trial), "escitalopram", 0.5)
    assert found.trial is not None
    assert found.trial.allocation == {"escitalopram": pytest.approx(2 / 3), "placebo": pytest.approx(1 / 3)}
    assert found.trial.block == 6
    assert [a.id for a in found.arms] == ["escitalopram", "placebo"]
    assert found.arms[0].doses[0].amount == 5.0


def test_a_search_on_the_model_is_the_same_for_any_number_of_processes() -> None:
    space = Space(arms=("escitalopram",), doses=(2.0,), cutoffs=(1.0,), sizes=(30, 60), weeks=(2.0, 4.0))
    said: list[float] = []
    one = optimise(SMALL, space, replicates=6, participants=60, progress=lambda _, share: said.append(share))
    assert len(one) == 4
    assert {(c.dose, c.n, c.week) for c in one} == {(2.0, n, w) for n in (30, 60) for w in (2, 4)}
    assert any(c.front for c in one)
    assert said[-1] == 1.0
    assert optimise(SMALL, space, replicates=6, participants=60, jobs=2) == one


def test_what_is_varied_where_nothing_is_said() -> None:
    space = default_space(read_trial(SMALL, load_knowledge()))
    assert space == Space(("escitalopram",), (1.0,), (1.8, 3.0, 5.1), (30, 44, 60, 90), (2.0, 4.0))
    given_ = default_space(read_trial(SMALL, load_knowledge()), sizes=(50,), cutoffs=(2.0,))
    assert (given_.sizes, given_.cutoffs) == ((50,), (2.0,))


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Space(arms=("drug",)), "arm 'drug' is unknown; study 'small' has escitalopram"),
        (Space(weeks=(3.0,)), "week 3 is no visit; expected one of 1, 2, 4"),
        (Space(sizes=(2,)), "sizes must be 4 or more, and doses above 0"),
        (Space(doses=(0.0,)), "sizes must be 4 or more, and doses above 0"),
    ],
)
def test_a_space_that_the_study_does_not_have_is_refused(space: Space, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        optimise(SMALL, space)


def test_a_design_that_cannot_be_searched_is_refused() -> None:
    study = read_trial(SMALL, load_knowledge())
    assert study.trial is not None
    plain = replace(study, trial=replace(study.trial, kind="parallel", marker=None))
    with pytest.raises(TrialError, match="has no marker to vary the cut-off of"):
        optimise(plain, Space(cutoffs=(3.0,)))
    with pytest.raises(TrialError, match="a match design cannot be searched over"):
        optimise(replace(study, trial=replace(study.trial, kind="match")), Space())
