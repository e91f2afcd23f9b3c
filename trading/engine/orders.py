"""The commands of customers: place, cancel, cancel all, amend.

Each one checks everything first and raises `Refused` before it changes anything.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert, field

from trading.engine.arithmetic import affordable, buy_need, covers, quantity_within
from trading.engine.book import Book
from trading.engine.matching import fillable, match
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST, Count, Freed, OrderState, Positive

Reason = Annotated[str, Meta(max_length=40)]
PLACEABLE = frozenset({"market", "limit"})


class Cancel(Struct, gc=False):
    """Take one open order off the book."""

    id: int = field(name="order")
    reason: Reason | None = None


class CancelAll(Struct, gc=False):
    """Take all open orders of one owner off the books, or off one book."""

    owner: int
    instrument: int | None = None
    reason: Reason | None = None


class Amend(Struct, gc=False):
    """Change an open order's total quantity, its price, or both."""

    id: int = field(name="order")
    quantity: Positive | None = None
    price: Positive | None = None
    budget_increase: Count = 0


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
    reason = "unknown_instrument" if book is None else refusal(shard, book, order)
    if reason is not None or book is None:
        shard.finish(order, "rejected", reason)
        return reason
    touched = len(shard.touched)
    shard.admit(order)
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


def refusal(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Return why an order may not even meet the book, or None."""
    return (
        terms_refusal(shard, order)
        or (book.state.state != "online" and market_refusal(book, order))
        or budget_refusal(book, order)
        or ((order.post_only or order.tif == "fok") and liquidity_refusal(book, order))
        or None
    )


def terms_refusal(shard: Shard, order: OrderState) -> str | None:
    """Return what contradicts itself in an order's terms, or None."""
    if order.type not in PLACEABLE:
        return "unsupported_type"
    if order.expires_at is not None and order.expires_at <= shard.at:
        return "expired"
    if order.reduce_only and order.side == "buy":
        return "reduce_only"
    contradictory = (
        order.price is None
        or (order.quantity is None) == (order.notional is None)
        or (order.tif == "gtd") != (order.expires_at is not None)
        or (order.post_only and never_rests(order))
    )
    return "poisonous" if contradictory else None


def market_refusal(book: Book, order: OrderState) -> str | None:
    """Return why the instrument's state forbids this order, or None."""
    state = book.state.state
    if (
        state == "online"
        or (state == "post_only" and order.post_only)
        or (state == "limit_only" and order.type == "limit")
        or (state == "reduce_only" and order.side == "sell")
    ):
        return None
    return f"instrument_{state}"


def budget_refusal(book: Book, order: OrderState) -> str | None:
    """Return `dust` for an order worth nothing, `budget` for one its hold does not cover."""
    rate = (order.price or 0) * book.num
    quantity = order.quantity
    if quantity is None:
        quantity = quantity_within(order.notional or 0, rate, book.den)
        if order.side == "sell":
            quantity = min(quantity, order.budget)
        else:
            quantity = min(quantity, affordable(order.budget, rate, book.den, dearest_ppm(order)))
    elif order.side == "sell":
        if order.budget < quantity:
            return "budget"
    elif not covers(order.budget, quantity, rate, book.den, dearest_ppm(order)):
        return "budget"
    return "dust" if quantity * rate < book.den else None


def liquidity_refusal(book: Book, order: OrderState) -> str | None:
    """Return why the other side of the book does not suit the order, or None."""
    if order.post_only:
        ladder = book.asks if order.side == "buy" else book.bids
        return "post_only_would_take" if ladder.reaches(order.price or 0) else None
    if order.tif == "fok":
        return None if fillable(book, order) else "fok_unfilled"
    return None


def dearest_ppm(order: OrderState) -> int:
    """Return the fee rate that the order's hold must cover."""
    return max(order.taker_ppm, order.maker_ppm)


def never_rests(order: OrderState) -> bool:
    """Tell whether what an order does not trade at once is cancelled."""
    return order.type == "market" or order.tif in {"ioc", "fok"}


def enter(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Bring an admitted order to the book: match it, then let it rest or end it filled.

    Returns why the rest of it must be ended by the caller, or None.
    """
    ladder = book.asks if order.side == "buy" else book.bids
    stop = None
    if ladder.keys and ladder.keys[-1] >= (order.price or 0) * ladder.sign:
        stop = match(shard, book, order)
    if stop == "spent":
        if not order.filled:
            return "dust"
        shard.finish(order, "filled")
        return None
    if stop is None and never_rests(order):
        return "collar" if ladder.keys and order.type == "market" else "no_liquidity"
    return stop or settle_down(shard, book, order)


def settle_down(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Let the rest of an order wait in the book, or return `dust` where it is worth nothing."""
    rate = (order.price or 0) * book.num
    if order.remaining_notional is not None:
        wanted = quantity_within(order.remaining_notional, rate, book.den)
        if order.side == "sell":
            order.remaining = min(wanted, order.budget)
        else:
            fitting = affordable(order.budget, rate, book.den, dearest_ppm(order))
            order.remaining = min(wanted, fitting)
    if (order.remaining or 0) * rate < book.den:
        return "dust"
    shard.rest(book, order)
    if order.filled:
        order.status = "partially_filled"
        if order.side == "buy":
            shard.free_excess(book, order)
    return None


def cancel(shard: Shard, payload: dict[str, Any]) -> None:
    """Cancel one order."""
    command = convert(payload, Cancel)
    order = open_order(shard, command.id)
    shard.cancel(order, command.reason or "customer")


def cancel_all(shard: Shard, payload: dict[str, Any]) -> None:
    """Cancel all open orders of an owner, oldest id first."""
    command = convert(payload, CancelAll)
    if command.instrument is not None and command.instrument not in shard.books:
        raise Refused("unknown_instrument")
    for id_ in sorted(shard.owned.get(command.owner, ())):
        order = shard.orders[id_]
        if command.instrument in {None, order.instrument}:
            shard.cancel(order, command.reason or "customer")


def open_order(shard: Shard, order: int) -> OrderState:
    """Return a customer's open order, or refuse."""
    state = shard.orders.get(order)
    if state is None or state.type == "quote":
        raise Refused("unknown_order")
    return state


def amend(shard: Shard, payload: dict[str, Any]) -> None:
    """Change an order in place; a smaller quantity alone keeps its place in the queue.

    A refused amendment frees the increase of the hold that came with it.
    """
    command = convert(payload, Amend)
    try:
        order = open_order(shard, command.id)
        changed = amended(shard, order, command)
    except Refused:
        if command.budget_increase:
            shard.out.releases.append(Freed(command.id, command.budget_increase))
        raise
    book = shard.books[order.instrument]
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
    if command.quantity is None and command.price is None:
        raise Refused("poisonous")
    if command.quantity is not None and order.quantity is None:
        raise Refused("not_amendable")
    changed = order.__copy__()
    changed.budget += command.budget_increase
    changed.price = command.price or order.price
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
        wanted = quantity_within(changed.remaining_notional, rate, book.den)
        if changed.side == "sell":
            changed.remaining = min(wanted, changed.budget)
        else:
            fitting = affordable(changed.budget, rate, book.den, dearest_ppm(changed))
            changed.remaining = min(wanted, fitting)
    need = remaining = changed.remaining or 0
    if changed.side == "buy":
        need = buy_need(remaining, rate, book.den, dearest_ppm(changed))
    if need > changed.budget or changed.budget > BIGGEST:
        return "budget"
    if remaining * rate < book.den:
        return "dust"
    return liquidity_refusal(book, changed)


def shrink(shard: Shard, book: Book, order: OrderState, changed: OrderState) -> None:
    """Lower a waiting order's quantity where it stands."""
    ladder = book.bids if order.side == "buy" else book.asks
    level = ladder.levels[(order.price or 0) * ladder.sign]
    level.visible -= (order.remaining or 0) - (changed.remaining or 0)
    order.quantity, order.remaining = changed.quantity, changed.remaining
    order.budget = changed.budget
    shard.free_excess(book, order)
    shard.touched[order.id] = order
    shard.out.books.add(order.instrument)
