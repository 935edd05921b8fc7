"""What treatments do to virtual patients with depression, by how inflamed they are.

The first failures of the model's structure are kept as cases here: symptoms that follow brain immune tone in proportion
made anti-TNF help everybody, and one window for both drugs made SSRIs work best in the most inflamed.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.run import StudyRun, simulate
from crosstalk.study.schema import read_study

Array = NDArray[np.float64]

TRIAL = """
[study]
id = "contrasts"
role = "design"
duration_weeks = 12
visits = [0, 0.142857142857, 1, 2, 4, 8, 12]
outputs = ["NV", "MOOD", "HAMD17"]
[population]
diagnosis = "mdd"
[[arm]]
id = "placebo"
[[arm]]
id = "infliximab"
dose = [{ drug = "infliximab", amount = 5, unit = "mg/kg", route = "iv", weeks = [0, 2, 6] }]
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }]
[[arm]]
id = "ketamine"
dose = [{ drug = "ketamine", amount = 0.5, unit = "mg/kg", route = "iv", weeks = [0] }]
[[result]]
endpoint = "change"
of = "HAMD17"
week = 12
arm = "infliximab"
versus = "placebo"
stratum = { analyte = "hsCRP", min = 5, unit = "mg/L" }
"""
DAY, WEEK, TWO_WEEKS, EIGHT_WEEKS = 1, 2, 3, 5


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    path = tmp_path_factory.mktemp("study") / "contrasts.toml"
    path.write_text(TRIAL)
    return simulate(read_study(path), patients=200, seed=5)


def points(run: StudyRun, arm: str) -> Array:
    """Difference to placebo on HAMD-17 without rater error [points], shape (n_patients, n_visits)."""
    scale = load_knowledge().scales["HAMD17"]
    weights = {"NV": scale.neurovegetative, "MOOD": scale.mood_cognitive}
    return np.asarray(sum(w * (run.courses[arm, v] - run.courses["placebo", v]) for v, w in weights.items()))


def mean_and_error(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def test_infliximab_helps_the_inflamed_alone(trial: StudyRun) -> None:
    """Better above CRP 5 mg/L, not better below 1 mg/L, as in 10.1001/2013.jamapsychiatry.4."""
    crp, benefit = trial.baseline["hsCRP"], points(trial, "infliximab")[:, -1]
    inflamed, error = mean_and_error(benefit[crp >= 5])
    others, of_others = mean_and_error(benefit[crp < 1])
    assert inflamed < 0 < others
    assert others - inflamed > 2 * np.hypot(error, of_others)


def test_ssri_works_over_weeks_not_at_once(trial: StudyRun) -> None:
    course = points(trial, "ssri").mean(axis=0)
    assert abs(course[DAY]) < 0.2
    assert course[EIGHT_WEEKS] < -1.5
    assert course[DAY] > course[WEEK] > course[TWO_WEEKS] > course[EIGHT_WEEKS]


def test_ssri_does_not_work_best_in_the_most_inflamed(trial: StudyRun) -> None:
    crp, benefit = trial.baseline["hsCRP"], points(trial, "ssri")[:, -1]
    assert benefit[crp >= 5].mean() > benefit[crp < 1].mean()


def test_ketamine_acts_within_a_day_and_wanes(trial: StudyRun) -> None:
    course = points(trial, "ketamine").mean(axis=0)
    assert course[DAY] < -3
    assert abs(course[EIGHT_WEEKS]) < 0.25 * abs(course.min())


def test_placebo_patients_improve_and_some_halve_their_score(trial: StudyRun) -> None:
    """Without recovery, expectation and rater error no placebo patient would halve the score."""
    score = trial.courses["placebo", "HAMD17"]
    assert -12 < (score[:, -1] - score[:, 0]).mean() < -5
    assert 0.15 < np.mean(score[:, -1] <= score[:, 0] / 2) < 0.55


def plasticity(drive: Array, **parameters: float) -> Array:
    """Plasticity at steady state in otherwise healthy people, shape of ``drive``."""
    given = {k: np.full(len(drive), v) for k, v in parameters.items()}
    steady = get_engine().steady_state(Problem(assemble().sbml, len(drive), {"fI": drive, **given}))
    return np.asarray(steady.values[:, steady.states.index("PL")])


def test_the_place_of_the_window_sets_where_anti_inflammation_turns_from_harm_to_help() -> None:
    """With the optimum at the healthy tone it would help from mild inflammation on; a higher optimum spares that."""
    drive = np.linspace(0.0, 6.0, 25)
    turn = []
    for place in (1.0, 1.3, 1.8):
        helped = plasticity(drive / 2, xopt=place) > plasticity(drive, xopt=place) + 1e-9
        turn.append(float(drive[int(helped.argmax())]) if helped.any() else np.inf)
    assert turn[0] < turn[1] < turn[2]


def test_a_monotone_curve_has_no_such_turn() -> None:
    """The switch that replaces the window, so that both structures can be compared."""
    assert (np.diff(plasticity(np.linspace(0.0, 6.0, 13), shape_window=0.0)) < 0).all()
