"""Published results of all study files: listed, checked and pooled. Names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.evidence.checks import check_studies
    from crosstalk.evidence.listing import published, select, study_card
    from crosstalk.evidence.pooling import pool
    from crosstalk.evidence.records import CheckReport, Pool, PublishedResult, Query, StudyCard
    from crosstalk.evidence.sources import read_entries, read_entry, study_paths
    from crosstalk.statistics.meta_analysis import random_effects

__all__ = [
    "CheckReport",
    "Pool",
    "PublishedResult",
    "Query",
    "StudyCard",
    "check_studies",
    "pool",
    "published",
    "random_effects",
    "read_entries",
    "read_entry",
    "select",
    "study_card",
    "study_paths",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "CheckReport": "records",
        "Pool": "records",
        "PublishedResult": "records",
        "Query": "records",
        "StudyCard": "records",
        "check_studies": "checks",
        "pool": "pooling",
        "published": "listing",
        "random_effects": ".statistics.meta_analysis",
        "read_entries": "sources",
        "read_entry": "sources",
        "select": "listing",
        "study_card": "listing",
        "study_paths": "sources",
    },
)
