"""The address book."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("venue", sa.String, primary_key=True),
        sa.Column("address", sa.String, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("first_seen_at", sa.DateTime, nullable=False),
        sa.Column("last_traded_at", sa.DateTime),
        sa.Column("last_read_at", sa.DateTime, index=True),
        sa.Column("mode", sa.String),
        sa.Column("mode_at", sa.DateTime),
        sa.Column("positions", sa.Integer),
        sa.Column("notional_usd", sa.Float),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("master", sa.String),
    )


def downgrade() -> None:
    op.drop_table("account")
