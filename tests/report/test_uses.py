"""Every use of a value has its words in a report."""

from __future__ import annotations

from typing import get_args, get_type_hints

from crosstalk.report.words import USES
from crosstalk.twin.records import ProfileItem


def test_every_use_of_a_value_has_words() -> None:
    assert set(USES) == set(get_args(get_type_hints(ProfileItem)["use"]))
