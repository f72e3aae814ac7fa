"""The ledger of forecasts: two tables whose rows can be added, but neither changed nor removed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = ("forecast", "forecastscore")
REFUSED = "the ledger of forecasts is append-only"


def upgrade() -> None:
    op.create_table(
        "forecast",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("venue", sa.String, nullable=False, index=True),
        sa.Column("coin", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("weights", sa.String, nullable=False),
        sa.Column("model_hash", sa.String, nullable=False),
        sa.Column("as_of", sa.DateTime, nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("horizon_s", sa.Integer, nullable=False),
        sa.Column("replayed", sa.Boolean, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
        sa.UniqueConstraint(
            "venue",
            "coin",
            "model",
            "model_hash",
            "as_of",
            "horizon_s",
            "replayed",
            name="one_forecast_a_moment",
        ),
    )
    op.create_table(
        "forecastscore",
        sa.Column("forecast_hash", sa.String, sa.ForeignKey("forecast.hash"), primary_key=True),
        sa.Column("side", sa.String, primary_key=True),
        sa.Column("settled_at", sa.DateTime, nullable=False),
        sa.Column("move", sa.Float, nullable=False),
        sa.Column("volatility", sa.Float, nullable=False),
        sa.Column("told_usd", sa.Float, nullable=False),
        sa.Column("coverage", sa.Float),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("zoned_events", sa.Integer, nullable=False),
        sa.Column("predicted_usd", sa.Float, nullable=False),
        sa.Column("uniform_usd", sa.Float, nullable=False),
        sa.Column("tiers_usd", sa.Float),
        sa.Column("hits", sa.Float, nullable=False),
        sa.Column("uniform_hits", sa.Float, nullable=False),
        sa.Column("tiers_hits", sa.Float),
    )
    for statement in _guards():
        op.execute(statement)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _guards() -> list[str]:
    """Triggers that refuse to change or remove a row."""
    if op.get_bind().dialect.name == "postgresql":
        return [
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{REFUSED}'; END $$",
            *(
                f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                for table in TABLES
            ),
        ]
    return [
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
        for table in TABLES
        for change in ("UPDATE", "DELETE")
    ]
