"""Patients: panel and population to a posterior, a forecast under each regimen, and the summary of a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.twin.cohort import assess_cohort
    from crosstalk.twin.cohort_records import CohortAssessment
    from crosstalk.twin.twin import assess, forecast

__all__ = ["CohortAssessment", "assess", "assess_cohort", "forecast"]

__getattr__, __dir__ = lazily(
    __name__,
    {"CohortAssessment": "cohort_records", "assess": "twin", "assess_cohort": "cohort", "forecast": "twin"},
)
