"""A registry of forecasts: who was forecast what and with which posterior, what was given, and what came of it.

Extra ``registry`` (SQLAlchemy, Alembic). An SQLite file by default, PostgreSQL by its address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.registry.database import Registry as Registry
    from crosstalk.registry.database import open_registry as open_registry
    from crosstalk.registry.frozen import freeze as freeze
    from crosstalk.registry.frozen import judge_frozen as judge_frozen
    from crosstalk.registry.judgement import Judgement as Judgement
    from crosstalk.registry.judgement import judge as judge
    from crosstalk.registry.people import Register as Register

__getattr__, __dir__, __all__ = lazily(__name__)
