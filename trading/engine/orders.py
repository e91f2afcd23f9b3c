"""The commands of customers: place, cancel, cancel all."""

from trading.engine.book import Book
from trading.engine.commands import Cancel, CancelAll, Unreadable
from trading.engine.entry import enter, refusal
from trading.engine.shard import Refused, Shard
from trading.engine.state import TRIGGERED, OrderState
from trading.engine.triggers import arm


def place(shard: Shard, order: OrderState) -> str | None:
    """Match a new order and let the rest of it wait, as its terms say.

    Returns the reason where it is rejected: then its state says so and its budget is freed.
    """
    if order.id in shard.orders:
        return "duplicate_order"
    order.opened_at = shard.at
    book = shard.books.get(order.instrument)
    reason = "unknown_instrument" if book is None else refusal(shard, book, order)
    if reason is not None or book is None:
        shard.finish(order, "rejected", reason)
        return reason
    shard.admit(order)
    if order.type in TRIGGERED:
        arm(shard, book, order)
        return None
    return enter_new(shard, book, order)


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


def reject(shard: Shard, command: Unreadable) -> str:
    """Reject a command that makes no sense, freeing what it brought."""
    order = command.order
    if order is not None and order.id not in shard.orders:
        order.opened_at = shard.at
        shard.finish(order, "rejected", command.reason)
    shard.releases += command.increases
    return command.reason


def cancel(shard: Shard, command: Cancel) -> None:
    """Cancel one order."""
    order = shard.orders.get(command.id)
    if order is None or order.type == "quote":
        raise Refused("unknown_order")
    shard.cancel(order, command.reason or "customer")


def cancel_all(shard: Shard, command: CancelAll) -> None:
    """Cancel all open orders of an owner, oldest id first."""
    if command.instrument is not None and command.instrument not in shard.books:
        raise Refused("unknown_instrument")
    shard.cancel_owned(command.owner, command.instrument, command.reason or "customer")
