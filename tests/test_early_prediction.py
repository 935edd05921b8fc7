"""The comparison on real trials: its models do what they should, and its text is what the script prints."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "docs" / "results" / "early_prediction.txt"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("early_prediction")


def made(script: ModuleType, n: int) -> tuple[object, np.ndarray]:
    """Random intercept (SD 4), slope (SD 0.8 per week), residual (SD 3), and the prediction of who knows these."""
    rng = np.random.default_rng(1)
    weeks = np.array([0, 1, 2, 4, 6])
    z = np.column_stack([np.ones(5), weeks])
    random = rng.standard_normal((n, 2)) * (4, 0.8)
    mean = 24 - 1.5 * weeks
    scores = mean + random @ z.T + 3 * rng.standard_normal((n, 5))
    whole = z @ np.diag([16, 0.64]) @ z.T + 9 * np.eye(5)
    best = mean[4] + (scores[:, :3] - mean[:3]) @ np.linalg.solve(whole[:3, :3], whole[:3, 4])
    frame = pd.DataFrame(scores, columns=list(weeks))
    frame.loc[::9, 4] = np.nan
    return script.Trial("made", frame, np.zeros(n, dtype=np.intp), (1, 2)), best


def test_the_mixed_model_predicts_as_one_who_knows_its_parameters(script: ModuleType) -> None:
    trial, best = made(script, 900)
    rows = np.arange(900)
    found = script.mixed_model(trial, rows[:600], rows[600:])
    assert np.sqrt(np.mean((found.mean - best[600:]) ** 2)) < 0.1 * np.std(best)
    y = trial.scores[6].to_numpy()[600:]  # type: ignore[attr-defined]
    assert np.mean(np.abs(y - found.mean) < 1.645 * found.sd) == pytest.approx(0.9, abs=0.05)
    assert ((found.response > 0) & (found.response < 1)).all()


def test_models_see_training_rows_only(script: ModuleType) -> None:
    """Outcomes of the patients to be predicted may be anything."""
    trial, _ = made(script, 90)
    rows = np.arange(90)
    spoilt = script.Trial("made", trial.scores.copy(), trial.arm, (1, 2))  # type: ignore[attr-defined]
    spoilt.scores.loc[60:, [4, 6]] = 99.0
    for fit in (script.mixed_model, script.rule, script.regression("penalised", True)):
        for a, b in zip(
            vars(fit(trial, rows[:60], rows[60:])).values(),
            vars(fit(spoilt, rows[:60], rows[60:])).values(),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.shared
def test_three_trials_are_compared_and_nobody_is_shown(script: ModuleType, shared_data: Path) -> None:
    text = script.report(shared_data, repeats=1, virtual=300)
    assert text.count("patients seen early and at the end") == 3
    assert text.count("twin with early scores  ") == 2
    assert "the twin is left out: the knowledge base has no such scale" in text
    assert text.count("\n") < 60


@pytest.mark.shared
def test_early_scores_help_the_twin(script: ModuleType, shared_data: Path) -> None:
    trial = script.trials(shared_data)[0].used()
    y = trial.scores[trial.last].to_numpy()
    before, after = (script.twin(trial, 600, early)[0] for early in (False, True))
    assert np.mean((y - after.mean) ** 2) < 0.8 * np.mean((y - before.mean) ** 2)


@pytest.mark.slow
@pytest.mark.shared
def test_the_page_quotes_what_the_script_prints(script: ModuleType, shared_data: Path) -> None:
    """To the numbers: a new posterior needs a new text (`python scripts/early_prediction.py FOLDER --write`)."""
    assert script.report(shared_data) == RESULT.read_text(encoding="utf-8")
