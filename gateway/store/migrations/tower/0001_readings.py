"""The read model: what the archive says, kept ready."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_readings"
down_revision = None


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "alarm_ends",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("shipment", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.SmallInteger(), nullable=False),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column("minimum", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.Column("beyond_s", sa.BigInteger(), nullable=False),
        sa.Column("start_block", sa.BigInteger(), nullable=True),
        sa.Column("start_place", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("block", "place", name="alarm_ends_pkey"),
    )
    op.create_index("alarm_ends_shipment", "alarm_ends", ["shipment"], unique=False)
    op.create_index("alarm_ends_start", "alarm_ends", ["start_block", "start_place"], unique=False)
    op.create_table(
        "alarm_starts",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("shipment", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("t", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("channel", sa.SmallInteger(), nullable=False),
        sa.Column("comparison", sa.SmallInteger(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("beyond_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("block", "place", name="alarm_starts_pkey"),
    )
    op.create_index("alarm_starts_shipment", "alarm_starts", ["shipment"], unique=False)
    op.create_table(
        "beyond",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("comparison", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("threshold", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shipment", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("block", "channel", "comparison", "threshold", name="beyond_pkey"),
    )
    op.create_index("beyond_shipment", "beyond", ["shipment"], unique=False)
    op.create_table(
        "boots",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("syncs", sa.SmallInteger(), nullable=False),
        sa.Column("doubt", sa.SmallInteger(), nullable=False),
        sa.Column("clock_t_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock_utc_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock_uncertainty_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="boots_pkey"),
    )
    op.create_index("boots_number", "boots", ["chain", "number"], unique=True)
    op.create_table(
        "buckets",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shipment", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("first_t", sa.BigInteger(), nullable=False),
        sa.Column("last_t", sa.BigInteger(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("gap_s", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("payload_count", sa.Integer(), nullable=True),
        sa.Column("payload_min", sa.Integer(), nullable=True),
        sa.Column("payload_max", sa.Integer(), nullable=True),
        sa.Column("payload_sum", sa.BigInteger(), nullable=True),
        sa.Column("payload_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("payload_within_s", sa.BigInteger(), nullable=True),
        sa.Column("ambient_count", sa.Integer(), nullable=True),
        sa.Column("ambient_min", sa.Integer(), nullable=True),
        sa.Column("ambient_max", sa.Integer(), nullable=True),
        sa.Column("ambient_sum", sa.BigInteger(), nullable=True),
        sa.Column("ambient_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("ambient_within_s", sa.BigInteger(), nullable=True),
        sa.Column("humidity_count", sa.Integer(), nullable=True),
        sa.Column("humidity_min", sa.Integer(), nullable=True),
        sa.Column("humidity_max", sa.Integer(), nullable=True),
        sa.Column("humidity_sum", sa.BigInteger(), nullable=True),
        sa.Column("humidity_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("humidity_within_s", sa.BigInteger(), nullable=True),
        sa.Column("light_count", sa.Integer(), nullable=True),
        sa.Column("light_min", sa.Integer(), nullable=True),
        sa.Column("light_max", sa.Integer(), nullable=True),
        sa.Column("light_sum", sa.BigInteger(), nullable=True),
        sa.Column("light_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("light_within_s", sa.BigInteger(), nullable=True),
        sa.Column("battery_count", sa.Integer(), nullable=True),
        sa.Column("battery_min", sa.Integer(), nullable=True),
        sa.Column("battery_max", sa.Integer(), nullable=True),
        sa.Column("battery_sum", sa.BigInteger(), nullable=True),
        sa.Column("battery_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("battery_within_s", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_x_count", sa.Integer(), nullable=True),
        sa.Column("acceleration_x_min", sa.Integer(), nullable=True),
        sa.Column("acceleration_x_max", sa.Integer(), nullable=True),
        sa.Column("acceleration_x_sum", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_x_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_x_within_s", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_y_count", sa.Integer(), nullable=True),
        sa.Column("acceleration_y_min", sa.Integer(), nullable=True),
        sa.Column("acceleration_y_max", sa.Integer(), nullable=True),
        sa.Column("acceleration_y_sum", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_y_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_y_within_s", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_z_count", sa.Integer(), nullable=True),
        sa.Column("acceleration_z_min", sa.Integer(), nullable=True),
        sa.Column("acceleration_z_max", sa.Integer(), nullable=True),
        sa.Column("acceleration_z_sum", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_z_stood_s", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_z_within_s", sa.BigInteger(), nullable=True),
        sa.Column("payload_ageing", sa.BigInteger(), nullable=True),
        sa.Column("ambient_ageing", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("block", name="buckets_pkey"),
    )
    op.create_index("buckets_shipment", "buckets", ["shipment", "boot", "first_t"], unique=False)
    op.create_table(
        "chains",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tracker", sa.String(length=23), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("first_block", sa.BigInteger(), nullable=False),
        sa.Column("last_block", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="chains_pkey"),
    )
    op.create_index("chains_chain", "chains", ["tracker", "chain"], unique=True)
    op.create_table(
        "events",
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("boot", "t", "block", "place", name="events_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("events_type", "events", ["boot", "type", "t"], unique=False)
    op.create_table(
        "gaps",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("shipment", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("after_t", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("block", "place", name="gaps_pkey"),
    )
    op.create_index("gaps_shipment", "gaps", ["shipment"], unique=False)
    op.create_table(
        "positions",
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("latitude", sa.Integer(), nullable=False),
        sa.Column("longitude", sa.Integer(), nullable=False),
        sa.Column("uncertainty_m", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot", "t", "block", "place", name="positions_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="progress_pkey"),
    )
    op.create_table(
        "readings_blocks",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tracker", sa.String(length=23), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("chain", sa.BigInteger(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("filed", sa.LargeBinary(), nullable=True),
        sa.Column("previous", sa.LargeBinary(), nullable=True),
        sa.Column("boot", sa.BigInteger(), nullable=True),
        sa.Column("shipment", sa.BigInteger(), nullable=True),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("first_t", sa.BigInteger(), nullable=True),
        sa.Column("last_t", sa.BigInteger(), nullable=True),
        sa.Column("interval_s", sa.Integer(), nullable=True),
        sa.Column("urgent", sa.SmallInteger(), nullable=False),
        sa.Column("opening", sa.SmallInteger(), nullable=False),
        sa.Column("booted", sa.SmallInteger(), nullable=False),
        sa.Column("flaw", sa.String(length=16), nullable=True),
        sa.Column("missing", sa.BigInteger(), nullable=True),
        sa.Column("abandoned", sa.String(length=32), nullable=True),
        sa.Column("doubt", sa.SmallInteger(), nullable=False),
        sa.Column("context", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="readings_blocks_pkey"),
    )
    op.create_index("readings_blocks_boot", "readings_blocks", ["boot", "number"], unique=False)
    op.create_index(
        "readings_blocks_finding",
        "readings_blocks",
        ["tracker"],
        unique=False,
        sqlite_where=sa.text(
            "(outcome > 0 OR flaw IS NOT NULL OR missing > 0 OR abandoned IS NOT NULL)"
        ),
        postgresql_where=sa.text(
            "(outcome > 0 OR flaw IS NOT NULL OR missing > 0 OR abandoned IS NOT NULL)"
        ),
    )
    op.create_index(
        "readings_blocks_number", "readings_blocks", ["chain", "number", "id"], unique=False
    )
    op.create_index(
        "readings_blocks_shipment",
        "readings_blocks",
        ["shipment", "chain", "number"],
        unique=False,
    )
    op.create_table(
        "readings_shipments",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tracker", sa.String(length=23), nullable=False),
        sa.Column("shipment", sa.String(length=32), nullable=False),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_block", sa.BigInteger(), nullable=True),
        sa.Column("last_number", sa.BigInteger(), nullable=True),
        sa.Column("chain", sa.BigInteger(), nullable=True),
        sa.Column("alarms", sa.Integer(), nullable=False),
        sa.Column("standing", sa.Integer(), nullable=False),
        sa.Column("acknowledged", sa.SmallInteger(), nullable=False),
        sa.Column("faults", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("flight", sa.SmallInteger(), nullable=False),
        sa.Column("profile_in_force", sa.String(length=16), nullable=True),
        sa.Column("latitude", sa.Integer(), nullable=True),
        sa.Column("longitude", sa.Integer(), nullable=True),
        sa.Column("position_uncertainty_m", sa.BigInteger(), nullable=True),
        sa.Column("position_source", sa.SmallInteger(), nullable=True),
        sa.Column("position_boot", sa.BigInteger(), nullable=True),
        sa.Column("position_t", sa.BigInteger(), nullable=True),
        sa.Column("cell", sa.String(length=40), nullable=True),
        sa.Column("cell_boot", sa.BigInteger(), nullable=True),
        sa.Column("cell_t", sa.BigInteger(), nullable=True),
        sa.Column("payload", sa.Integer(), nullable=True),
        sa.Column("payload_boot", sa.BigInteger(), nullable=True),
        sa.Column("payload_t", sa.BigInteger(), nullable=True),
        sa.Column("ambient", sa.Integer(), nullable=True),
        sa.Column("ambient_boot", sa.BigInteger(), nullable=True),
        sa.Column("ambient_t", sa.BigInteger(), nullable=True),
        sa.Column("humidity", sa.Integer(), nullable=True),
        sa.Column("humidity_boot", sa.BigInteger(), nullable=True),
        sa.Column("humidity_t", sa.BigInteger(), nullable=True),
        sa.Column("light", sa.Integer(), nullable=True),
        sa.Column("light_boot", sa.BigInteger(), nullable=True),
        sa.Column("light_t", sa.BigInteger(), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column("battery_boot", sa.BigInteger(), nullable=True),
        sa.Column("battery_t", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_x", sa.Integer(), nullable=True),
        sa.Column("acceleration_x_boot", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_x_t", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_y", sa.Integer(), nullable=True),
        sa.Column("acceleration_y_boot", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_y_t", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_z", sa.Integer(), nullable=True),
        sa.Column("acceleration_z_boot", sa.BigInteger(), nullable=True),
        sa.Column("acceleration_z_t", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="readings_shipments_pkey"),
    )
    op.create_index("readings_shipments_name", "readings_shipments", ["shipment"], unique=False)
    op.create_index(
        "readings_shipments_shipment", "readings_shipments", ["tracker", "shipment"], unique=True
    )
    op.create_table(
        "readings_trackers",
        sa.Column("id", sa.String(length=23), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("chains", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.BigInteger(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="readings_trackers_pkey"),
    )
    op.create_table(
        "samples",
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("payload", sa.Integer(), nullable=True),
        sa.Column("ambient", sa.Integer(), nullable=True),
        sa.Column("humidity", sa.Integer(), nullable=True),
        sa.Column("light", sa.Integer(), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column("acceleration_x", sa.Integer(), nullable=True),
        sa.Column("acceleration_y", sa.Integer(), nullable=True),
        sa.Column("acceleration_z", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("boot", "t", "block", "place", name="samples_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "syncs",
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("utc_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uncertainty_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint(
            "boot", "t_ms", "utc_ms", "uncertainty_ms", "source", "block", name="syncs_pkey"
        ),
        sqlite_with_rowid=False,
    )
