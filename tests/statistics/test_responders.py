"""Response, remission and time to remission, with the missing ones decided by name."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.errors import UsageError
from crosstalk.statistics import remission, response, time_to_remission


def test_missing_scores_fail_or_stay_missing() -> None:
    score, baseline = [12.0, 12.1, np.nan], [24.0, 24.0, 24.0]
    assert response(score, baseline).tolist() == [1, 0, 0]
    np.testing.assert_equal(response(score, baseline, missing="observed"), [1, 0, np.nan])
    np.testing.assert_equal(remission([7, 8, np.nan]), [1, 0, 0])
    np.testing.assert_equal(remission([7, 8, np.nan], missing="observed"), [1, 0, np.nan])


def test_time_to_remission_is_the_first_visit_and_censors_at_the_last() -> None:
    nan = np.nan
    scores = [[9, 7, 12], [9, nan, 6], [9, 8, nan], [nan, nan, nan], [nan, 12, nan]]
    time, event = time_to_remission(scores, [1, 2, 4])
    assert time.tolist() == [2, 4, 2, 0, 2]
    assert event.tolist() == [1, 1, 0, 0, 0]


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(UsageError, match="unknown"):
        remission([1], missing="carried forward")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="baseline"):
        response([1.0], [np.nan])
    with pytest.raises(UsageError, match="ascend"):
        time_to_remission([[1, 2]], [2, 1])
    with pytest.raises(UsageError, match="one time a column"):
        time_to_remission([[1, 2]], [1])
