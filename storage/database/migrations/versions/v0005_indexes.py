"""Indexes for what every question looks up: the last market row, the files of a series, the readings of a scope."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("ix_market_last", "market", ["venue", "coin", "as_of"])
    op.create_index("ix_partition_series", "partition", ["dataset", "venue", "coin", "day"])
    op.create_index("ix_reading_scope", "reading", ["venue", "scope", "as_of"])
    op.drop_index("ix_partition_dataset", "partition")
    op.drop_index("ix_partition_coin", "partition")


def downgrade() -> None:
    op.create_index("ix_partition_coin", "partition", ["coin"])
    op.create_index("ix_partition_dataset", "partition", ["dataset"])
    op.drop_index("ix_reading_scope", "reading")
    op.drop_index("ix_partition_series", "partition")
    op.drop_index("ix_market_last", "market")
