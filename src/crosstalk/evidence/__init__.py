"""Published results of all study files: listed, checked and pooled. Names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.evidence.checks import check_studies as check_studies
    from crosstalk.evidence.listing import published as published
    from crosstalk.evidence.listing import select as select
    from crosstalk.evidence.listing import study_card as study_card
    from crosstalk.evidence.pooling import pool as pool
    from crosstalk.evidence.records import CheckReport as CheckReport
    from crosstalk.evidence.records import Pool as Pool
    from crosstalk.evidence.records import PublishedResult as PublishedResult
    from crosstalk.evidence.records import Query as Query
    from crosstalk.evidence.records import StudyCard as StudyCard
    from crosstalk.evidence.sources import read_entries as read_entries
    from crosstalk.evidence.sources import read_entry as read_entry
    from crosstalk.evidence.sources import study_paths as study_paths
    from crosstalk.statistics.meta_analysis import random_effects as random_effects

__getattr__, __dir__, __all__ = lazily(__name__)
