"""Names that moved to the floor of statistics are still found where earlier scripts import them."""

from __future__ import annotations

from importlib import import_module

import pytest

from crosstalk import statistics


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("crosstalk.trial.mmrm", "mmrm"),
        ("crosstalk.trial.boundaries", "boundaries"),
        ("crosstalk.learn.net_benefit", "decision_curve"),
    ],
)
def test_a_module_that_moved(old: str, name: str) -> None:
    new = import_module(f"crosstalk.statistics.{old.rpartition('.')[2]}")
    assert getattr(import_module(old), name) is getattr(new, name)


@pytest.mark.parametrize(
    ("package", "name"), [("learn", "ConformalClassifier"), ("learn", "auc"), ("trial", "holm"), ("trial", "log_rank")]
)
def test_a_name_that_moved_is_told(package: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{name} has moved to crosstalk.statistics"):
        found = getattr(import_module(f"crosstalk.{package}"), name)
    assert found is getattr(statistics, name)


@pytest.mark.parametrize("package", ["learn", "trial"])
def test_a_name_that_never_was(package: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'astrology'"):
        _ = import_module(f"crosstalk.{package}").astrology
