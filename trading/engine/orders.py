"""The commands of customers: place, cancel, cancel all.

Each one checks everything first and raises `Refused` before it changes anything.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert, field

from trading.engine.book import Book
from trading.engine.entry import enter, refusal
from trading.engine.shard import TRIGGERED, Refused, Shard
from trading.engine.state import BIGGEST, OrderState
from trading.engine.triggers import arm

Reason = Annotated[str, Meta(max_length=40)]


class Cancel(Struct, gc=False):
    """Take one open order off the book."""

    id: int = field(name="order")
    reason: Reason | None = None


class CancelAll(Struct, gc=False):
    """Take all open orders of one owner off the books, or off one book."""

    owner: int
    instrument: int | None = None
    reason: Reason | None = None


def place(shard: Shard, payload: dict[str, Any]) -> str | None:
    """Match a new order and let the rest of it wait, as its terms say.

    Returns the reason where it is rejected: then its state says so and its budget is freed.
    """
    try:
        order = convert(payload, OrderState)
    except ValidationError:
        return reject_unreadable(shard, payload)
    if order.id in shard.orders:
        return "duplicate_order"
    order.status = "open"
    order.reason = order.displayed = order.trail_extreme = order.levels = order.closed_at = None
    order.filled = order.cost = order.fee = order.priority = 0
    order.triggered = False
    order.remaining = order.quantity
    order.remaining_notional = order.notional
    order.opened_at = shard.at
    book = shard.books.get(order.instrument)
    reason = refusal(shard, book, order)
    if reason is not None or book is None:
        shard.finish(order, "rejected", reason)
        return reason
    shard.admit(order)
    if order.type not in TRIGGERED:
        return enter_new(shard, book, order)
    arm(shard, book, order)
    return None


def enter_new(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Bring a new order to the book; it is rejected where nothing came of it for anybody."""
    touched = len(shard.touched)
    stop = enter(shard, book, order)
    if stop is None:
        return None
    if len(shard.touched) > touched:
        shard.finish(order, "cancelled", stop)
        return None
    shard.finish(order, "rejected", stop)
    return stop


def reject_unreadable(shard: Shard, payload: object) -> str:
    """Reject a place that makes no sense, freeing its budget as far as it names one."""
    if isinstance(payload, dict):
        order, budget = payload.get("order"), payload.get("budget")
        if type(order) is int and 0 < order <= BIGGEST and order not in shard.orders:
            state = OrderState(order, 0, 0, "buy", "limit", opened_at=shard.at)
            state.budget = budget if type(budget) is int and 0 < budget <= BIGGEST else 0
            shard.finish(state, "rejected", "poisonous")
    return "poisonous"


def cancel(shard: Shard, payload: dict[str, Any]) -> None:
    """Cancel one order."""
    command = convert(payload, Cancel)
    order = shard.open_order(command.id)
    shard.cancel(order, command.reason or "customer")


def cancel_all(shard: Shard, payload: dict[str, Any]) -> None:
    """Cancel all open orders of an owner, oldest id first."""
    command = convert(payload, CancelAll)
    if command.instrument is not None and command.instrument not in shard.books:
        raise Refused("unknown_instrument")
    shard.cancel_owned(command.owner, command.instrument, command.reason or "customer")
