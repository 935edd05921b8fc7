"""Published results of all study files: listed, checked and pooled. Names are imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosstalk.evidence.checks import check_studies
    from crosstalk.evidence.listing import published, select, study_card
    from crosstalk.evidence.pooling import pool, random_effects
    from crosstalk.evidence.records import CheckReport, Pool, PublishedResult, Query, StudyCard
    from crosstalk.evidence.sources import read_entries, read_entry, study_paths

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

_HOME = {
    "check_studies": "checks",
    "pool": "pooling",
    "published": "listing",
    "random_effects": "pooling",
    "read_entries": "sources",
    "read_entry": "sources",
    "select": "listing",
    "study_card": "listing",
    "study_paths": "sources",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'records')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
