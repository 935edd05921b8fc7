"""Tables of the registry, as the newest migration leaves them.

The number of a row is that of the entry of the audit trail that made it. So numbers tell the order in which things
became known, are never used twice, and need no sequence of the database.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Integer, MetaData, Table, Text

__all__ = [
    "AUDIT",
    "COMMON",
    "FORECAST",
    "FROZEN",
    "GIVEN",
    "HEAD",
    "METADATA",
    "OF_PERSON",
    "PANEL",
    "PERSON",
    "SCORE",
]

HEAD = "0002"
"""The newest migration."""
COMMON = ("number", "person", "nonce", "sha256")
"""Columns of every row about a person that are not its content."""
METADATA = MetaData()

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("person", Integer),  # a number alone, so that it may stay when the person is forgotten
    Column("detail", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
)
PERSON = Table(
    "person",
    METADATA,
    Column("number", Integer, ForeignKey("audit.number"), primary_key=True, autoincrement=False),
    Column("pseudonym", Text, nullable=False, unique=True),
)


def _of_person(name: str, *columns: Column[object]) -> Table:
    """A table of rows about a person, which go with him; no nonce, no guessing of what the trail hashes."""
    return Table(
        name,
        METADATA,
        Column("number", Integer, ForeignKey("audit.number"), primary_key=True, autoincrement=False),
        Column("person", Integer, ForeignKey("person.number", ondelete="CASCADE"), nullable=False, index=True),
        Column("nonce", Text, nullable=False),
        Column("sha256", Text, nullable=False),
        *columns,
    )


PANEL = _of_person("panel", Column("content", Text, nullable=False))
FORECAST = _of_person(
    "forecast",
    Column("panel", Integer, nullable=False),
    Column("scale", Text, nullable=False),
    Column("baseline", Float, nullable=False),
    Column("crosstalk", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("knowledge_sha256", Text, nullable=False),
    Column("posterior_sha256", Text, nullable=False),
    Column("content", Text, nullable=False),
)
GIVEN = _of_person("given", Column("regimen", Text, nullable=False), Column("week", Float, nullable=False))
SCORE = _of_person(
    "score",
    Column("scale", Text, nullable=False),
    Column("week", Float, nullable=False),
    Column("value", Float, nullable=False),
)
OF_PERSON = (PANEL, FORECAST, GIVEN, SCORE)

FROZEN = Table(
    "frozen",
    METADATA,
    Column("number", Integer, ForeignKey("audit.number"), primary_key=True, autoincrement=False),
    Column("study", Text, nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)
