"""People, their panels, forecasts, regimens and scores, and the audit trail."""

from typing import Any

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("person", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "person",
        sa.Column("number", sa.Integer, sa.ForeignKey("audit.number"), primary_key=True, autoincrement=False),
        sa.Column("pseudonym", sa.Text, nullable=False, unique=True),
    )
    text, number = sa.Text, sa.Float
    contents: dict[str, dict[str, Any]] = {
        "panel": {"content": text},
        "forecast": {
            "panel": sa.Integer, "scale": text, "baseline": number, "crosstalk": text, "model_sha256": text,
            "knowledge_sha256": text, "posterior_sha256": text, "content": text,
        },
        "given": {"regimen": text, "week": number},
        "score": {"scale": text, "week": number, "value": number},
    }  # fmt: skip
    for name, columns in contents.items():
        op.create_table(
            name,
            sa.Column("number", sa.Integer, sa.ForeignKey("audit.number"), primary_key=True, autoincrement=False),
            sa.Column("person", sa.Integer, sa.ForeignKey("person.number", ondelete="CASCADE"), nullable=False),
            sa.Column("nonce", sa.Text, nullable=False),
            sa.Column("sha256", sa.Text, nullable=False),
            *(sa.Column(column, kind, nullable=False) for column, kind in columns.items()),
        )
        op.create_index(f"ix_{name}_person", name, ["person"])
