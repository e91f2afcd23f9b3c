"""Telling the engine about orders it has."""

from collections.abc import Sequence
from typing import Any

from common.errors import DomainError
from trading.models import Book, Order
from trading.operations import inbox


class OrderAlreadyDone(DomainError):
    """The order is filled, cancelled or expired already."""

    status = 409


def send(orders: Sequence[Order], kind: str, payload: dict[str, Any] | None = None) -> int:
    """Put one command for each order into the engine's inbox.

    :param payload: the command's, where it says more than which order it is about
    :returns: how many
    """
    shards = dict(
        Book.objects.filter(instrument__in={order.instrument_id for order in orders}).values_list(
            "instrument_id", "shard_id"
        )
    )
    inbox.insert_commands(
        [
            inbox.NewCommand(
                shard=shards[order.instrument_id],
                kind=kind,
                order=order.pk,
                payload=payload or {"order": order.pk},
            )
            for order in orders
        ]
    )
    return len(orders)
