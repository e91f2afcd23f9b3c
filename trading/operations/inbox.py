"""How accepted orders and the engine's commands are written: one statement each, however many.

The rows go as one JSON text, which the database reads by the tables' own column types. Django's
`bulk_create` would say each of an order's forty columns as a parameter of its own.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection, models

from common import realtime
from trading.models import Command, Order


def insert_orders(orders: Sequence[Order]) -> None:
    """Insert orders, and give each its id."""
    columns = _columns(Order)
    names = ", ".join(columns.values())
    rows = [{column: getattr(o, name) for name, column in columns.items()} for o in orders]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO trading_order ({names}) SELECT {names}"  # noqa: S608 - our own columns
            " FROM json_populate_recordset(NULL::trading_order, %s) RETURNING id",
            [_text(rows)],
        )
        ids = sorted(row[0] for row in cursor.fetchall())  # a recordset is read in order
    for order, id_ in zip(orders, ids, strict=True):
        order.pk = id_


def insert_commands(commands: Sequence[Command]) -> None:
    """Put commands into the engine's inbox, and nudge it once they are committed."""
    names = "shard_id, kind, order_id, payload"
    rows = [
        {"shard_id": c.shard_id, "kind": c.kind, "order_id": c.order_id, "payload": c.payload}
        for c in commands
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO trading_command ({names}, result, reason) SELECT {names}, '', ''"  # noqa: S608
            " FROM json_populate_recordset(NULL::trading_command, %s)",
            [_text(rows)],
        )
    realtime.nudge("engine")


def _columns(model: type[models.Model]) -> dict[str, str]:
    """Give the columns that are ours to write by the names of their attributes."""
    fields = model._meta.concrete_fields  # noqa: SLF001 - Django's own, documented
    return {field.attname: str(field.column) for field in fields if not field.primary_key}


def _text(rows: Any) -> str:
    return msgspec.json.encode(rows).decode()
