"""Predictions for running trials."""

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table of frozen predictions."""
    op.create_table(
        "frozen",
        sa.Column("number", sa.Integer, sa.ForeignKey("audit.number"), primary_key=True, autoincrement=False),
        sa.Column("study", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_index("ix_frozen_study", "frozen", ["study"])
