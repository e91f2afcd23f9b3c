"""Telling the engine about orders it has, or will have."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef

from common.errors import DomainError
from trading.models import Book, Command, Order
from trading.operations import inbox
from trading.operations.withdrawing import withdraw


class OrderAlreadyDone(DomainError):
    """The order is filled, cancelled or expired already."""

    status = 409


def cancel(orders: Sequence[Order], *, now: datetime) -> None:
    """Take back what no engine has sequenced, and ask the engine to cancel the rest, each once."""
    withdrawn = withdraw(orders, now=now)
    left = [order for order in orders if order.pk not in withdrawn]
    waiting = Command.objects.filter(kind="cancel", sequence=None, result="", order=OuterRef("pk"))
    live = Order.objects.filter(pk__in=[order.pk for order in left], status__in=Order.LIVE)
    unasked = set(live.exclude(Exists(waiting)).values_list("pk", flat=True))
    send([order for order in left if order.pk in unasked], "cancel")


def send(
    orders: Sequence[Order],
    kind: str,
    payload: dict[str, Any] | None = None,
    *,
    max_age_s: int | None = None,
) -> None:
    """Put one command for each order into the engine's inbox.

    :param payload: the command's, where it says more than which order it is about
    :param max_age_s: the engine refuses it when it is older
    """
    if not orders:
        return
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
                max_age_s=max_age_s,
            )
            for order in orders
        ]
    )
