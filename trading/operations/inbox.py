"""How accepted orders and the engine's commands are written: one statement each, however many.

The rows go as one JSON text, which the database reads by the tables' own column types. Django's
`bulk_create` would say each of an order's forty columns as a parameter of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import models

from common import database, realtime
from trading.models import Order


@dataclass(frozen=True, slots=True)
class NewCommand:
    """What the engine of a shard is asked to do.

    :param order: about whose order, by id
    :param max_age_s: the engine refuses it when it is older; None is never
    """

    shard: int
    kind: str
    payload: dict[str, Any]
    order: int | None = None
    max_age_s: int | None = None


def insert_orders(orders: Sequence[Order]) -> None:
    """Insert orders, and give each its id."""
    columns = _columns(Order)
    names = ", ".join(columns.values())
    rows = [{column: getattr(o, name) for name, column in columns.items()} for o in orders]
    inserted = database.prepared(
        f"INSERT INTO trading_order ({names}) SELECT {names}"  # noqa: S608 - our own columns
        " FROM json_populate_recordset(NULL::trading_order, %s::json) RETURNING id",
        [_text(rows)],
    )
    ids = sorted(row[0] for row in inserted)  # a recordset is read in order
    for order, id_ in zip(orders, ids, strict=True):
        order.pk = id_


def insert_commands(commands: Sequence[NewCommand]) -> None:
    """Put commands into the engine's inbox, and nudge it once they are committed.

    Ages count by the database's clock, as the engine's time does. An order whose cancel waits
    already gets no second one, by the constraint `command_cancel_waits_once`.
    """
    if not commands:
        return
    database.prepared(
        """
        INSERT INTO trading_command (shard_id, kind, order_id, payload, stale_at, result, reason)
        SELECT shard, kind, "order", payload, now() + make_interval(secs => max_age_s), '', ''
        FROM json_to_recordset(%s::json)
            AS c(shard bigint, kind text, "order" bigint, payload jsonb, max_age_s integer)
        ON CONFLICT (order_id) WHERE kind = 'cancel' AND sequence IS NULL AND result = ''
            DO NOTHING
        """,
        [_text(commands)],
    )
    realtime.nudge("engine")


def _columns(model: type[models.Model]) -> dict[str, str]:
    """Give the columns that are ours to write by the names of their attributes."""
    fields = model._meta.concrete_fields  # noqa: SLF001 - Django's own, documented
    return {field.attname: str(field.column) for field in fields if not field.primary_key}


def _text(rows: Any) -> str:
    return msgspec.json.encode(rows).decode()
