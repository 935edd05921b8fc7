"""Patients: panel and population to a posterior, a forecast under each regimen, and the summary of a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.twin.cohort import assess_cohort as assess_cohort
    from crosstalk.twin.cohort_records import CohortAssessment as CohortAssessment
    from crosstalk.twin.twin import assess as assess
    from crosstalk.twin.twin import forecast as forecast

__getattr__, __dir__, __all__ = lazily(__name__)
