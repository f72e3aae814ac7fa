"""First tables: readings, partitions, markets, universes, sweeps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "reading",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("venue", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("scope", sa.Enum("CENSUS", "ACCOUNTS", "BOOK", name="scope"), nullable=False),
        sa.Column("as_of", sa.DateTime, nullable=False, index=True),
        sa.Column("accounts", sa.Integer, nullable=False),
        sa.Column("positions", sa.Integer, nullable=False),
        sa.Column("notes", sa.String, nullable=False),
    )
    op.create_table(
        "partition",
        sa.Column("path", sa.String, primary_key=True),
        sa.Column("dataset", sa.String, nullable=False, index=True),
        sa.Column("venue", sa.String, nullable=False),
        sa.Column("coin", sa.String, nullable=False, index=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("first_at", sa.DateTime, nullable=False),
        sa.Column("last_at", sa.DateTime, nullable=False),
        sa.Column("reading_id", sa.String, sa.ForeignKey("reading.id"), index=True),
        sa.Column("source", sa.String, nullable=False),
    )
    op.create_table(
        "market",
        sa.Column("venue", sa.String, primary_key=True),
        sa.Column("dex", sa.String, primary_key=True),
        sa.Column("coin", sa.String, primary_key=True),
        sa.Column("as_of", sa.DateTime, primary_key=True),
        sa.Column("mark_px", sa.Float, nullable=False),
        sa.Column("open_interest", sa.Float),
        sa.Column("funding_rate", sa.Float),
        sa.Column("max_leverage", sa.Integer),
        sa.Column("margin_table_id", sa.Integer),
        sa.Column("collateral_token", sa.Integer),
    )
    op.create_table(
        "universe",
        sa.Column("venue", sa.String, primary_key=True),
        sa.Column("dex", sa.String, primary_key=True),
        sa.Column("as_of", sa.DateTime, primary_key=True),
        sa.Column("meta_json", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "sweep",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("base_url", sa.String, nullable=False),
        sa.Column("dex", sa.String, nullable=False),
        sa.Column("accounts", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime),
    )
    op.create_table(
        "sweeppart",
        sa.Column("sweep_id", sa.String, sa.ForeignKey("sweep.id"), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("accounts", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for table in ("sweeppart", "sweep", "universe", "market", "partition", "reading"):
        op.drop_table(table)
    sa.Enum(name="scope").drop(op.get_bind(), checkfirst=True)  # PostgreSQL keeps a type of its own
