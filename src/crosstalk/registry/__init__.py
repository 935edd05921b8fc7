"""A registry of forecasts: who was forecast what and with which posterior, what was given, and what came of it.

Extra ``registry`` (SQLAlchemy, Alembic). An SQLite file by default, PostgreSQL by its address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.registry.database import Registry, open_registry
    from crosstalk.registry.frozen import freeze, judge_frozen
    from crosstalk.registry.judgement import Judgement, judge
    from crosstalk.registry.people import Register

__all__ = ["Judgement", "Register", "Registry", "freeze", "judge", "judge_frozen", "open_registry"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Judgement": "judgement",
        "Register": "people",
        "Registry": "database",
        "freeze": "frozen",
        "judge": "judgement",
        "judge_frozen": "frozen",
        "open_registry": "database",
    },
)
