"""The tables of the tower's database are defined by the rooms that write them, on this metadata.

The rooms `readings` and `audit` do so, such as `audit/trail_tables.py`; `migrations/tower` makes
the tables, and a test finds that both say the same.
"""

from __future__ import annotations

import sqlalchemy as sa

# Constraints without a name could not be changed by a later revision.
metadata = sa.MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_unique",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
