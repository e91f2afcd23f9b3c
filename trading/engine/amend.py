"""Amendments: an open order's quantity, price or trigger changes in place."""

from trading.engine.arithmetic import buy_need
from trading.engine.book import Book
from trading.engine.commands import MOST_TIPS, Amend
from trading.engine.entry import (
    dearest_ppm,
    enter,
    liquidity_refusal,
    market_refusal,
    notional_quantity,
)
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST, TRIGGERED, Freed, OrderState
from trading.engine.triggers import look


def amend(shard: Shard, command: Amend) -> None:
    """Change an order in place; a smaller quantity alone keeps its place in the queue.

    A refused amendment frees the increase of the hold that came with it.
    """
    try:
        order = shard.open_order(command.id)
        changed = amended(shard, order, command)
    except Refused:
        if command.budget_increase:
            shard.releases.append(Freed(command.id, command.budget_increase))
        raise
    book = shard.books[order.instrument]
    if is_armed(order):
        rearm(shard, book, order, changed)
        return
    kept = changed.price == order.price and (changed.remaining or 0) <= (order.remaining or 0)
    if kept:
        shrink(shard, book, order, changed)
        return
    shard.leave(book, order)
    order.price, order.quantity = changed.price, changed.quantity
    order.budget = changed.budget
    order.remaining = None if order.quantity is None else changed.remaining
    stop = enter(shard, book, order)
    if stop is not None:
        shard.finish(order, "cancelled", stop)
    elif order.id in shard.orders:
        shard.free_excess(book, order)


def amended(shard: Shard, order: OrderState, command: Amend) -> OrderState:
    """Return what the order would be, or refuse."""
    book = shard.books[order.instrument]
    if command.quantity is None and command.price is None and command.trigger_price is None:
        raise Refused("poisonous")
    if (command.quantity is not None and order.quantity is None) or (
        command.trigger_price is not None and not (is_armed(order) and order.trigger_price)
    ):
        raise Refused("not_amendable")
    changed = order.__copy__()
    changed.budget += command.budget_increase
    changed.price = command.price or order.price
    changed.trigger_price = command.trigger_price or order.trigger_price
    if command.quantity is not None:
        if command.quantity <= order.filled:
            raise Refused("already_filled")
        changed.quantity = command.quantity
        changed.remaining = command.quantity - order.filled
    reason = market_refusal(book, changed) or amended_refusal(book, changed)
    if reason is not None:
        raise Refused(reason)
    return changed


def amended_refusal(book: Book, changed: OrderState) -> str | None:
    """Return why the amended rest of an order cannot stand, or None; size one by notional anew."""
    rate = (changed.price or 0) * book.num
    if changed.remaining_notional is not None:
        changed.remaining = notional_quantity(book, changed)
    need = remaining = changed.remaining or 0
    if changed.side == "buy":
        need = buy_need(remaining, rate, book.den, dearest_ppm(changed))
    if changed.display is not None and (changed.quantity or 0) > MOST_TIPS * changed.display:
        return "display"
    if need > changed.budget or changed.budget > BIGGEST:
        return "budget"
    if remaining * rate < book.den:
        return "dust"
    return None if is_armed(changed) else liquidity_refusal(book, changed)


def is_armed(order: OrderState) -> bool:
    """Tell whether an order still waits for its trigger."""
    return order.type in TRIGGERED and not order.triggered


def rearm(shard: Shard, book: Book, order: OrderState, changed: OrderState) -> None:
    """Change an order that waits for its trigger; it waits anew, in its old place."""
    watch = book.watch(order)
    watch.remove(order)
    order.price, order.trigger_price = changed.price, changed.trigger_price
    order.quantity, order.budget = changed.quantity, changed.budget
    if order.quantity is not None:
        order.remaining = changed.remaining
        shard.free_excess(book, order)
    watch.add(order)
    shard.touched.append(order)
    look(shard, book, watch, book.reference(order))


def shrink(shard: Shard, book: Book, order: OrderState, changed: OrderState) -> None:
    """Lower a waiting order's quantity where it stands."""
    ladder = book.bids if order.side == "buy" else book.asks
    level = ladder.levels[(order.price or 0) * ladder.sign]
    less = (order.remaining or 0) - (changed.remaining or 0)
    if order.displayed is not None:
        tip = min(order.displayed, changed.remaining or 0)
        less, order.displayed = order.displayed - tip, tip
    level.visible -= less
    order.quantity, order.remaining = changed.quantity, changed.remaining
    order.budget = changed.budget
    shard.free_excess(book, order)
    shard.touched.append(order)
    shard.shown.add(order.instrument)
