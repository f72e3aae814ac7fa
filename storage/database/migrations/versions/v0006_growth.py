"""What keeps questions as quick as they were on the first day: what is known now, and archives of many readings."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "latest",
        sa.Column("venue", sa.String, primary_key=True),
        sa.Column("changed", sa.String, nullable=False),
        sa.Column("merged", sa.String, nullable=False),
        sa.Column("book", sa.String, nullable=False),
        sa.Column("positions", sa.String, nullable=False),
        sa.Column("accounts", sa.String, nullable=False),
    )
    for table in ("reading", "partition"):
        op.add_column(table, sa.Column("archive", sa.String, nullable=True))
    op.add_column("reading", sa.Column("first_at", sa.DateTime, nullable=True))
    op.create_index("ix_partition_archive", "partition", ["archive", "dataset", "coin"])


def downgrade() -> None:
    op.drop_index("ix_partition_archive", "partition")
    op.drop_column("reading", "first_at")
    for table in ("partition", "reading"):
        op.drop_column(table, "archive")
    op.drop_table("latest")
