"""How an order enters the book: the checks it must pass, then matching, then resting."""

from trading.engine.arithmetic import affordable, covers, quantity_within
from trading.engine.book import Book
from trading.engine.commands import AT_MARKET, Quote, never_rests
from trading.engine.matching import fillable, match
from trading.engine.shard import Shard
from trading.engine.state import TRIGGERED, OrderState


def refusal(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Return why a new order may not even meet the book, or None."""
    if order.expires_at is not None or order.deadline is not None:
        reason = time_refusal(shard, order)
        if reason is not None:
            return reason
    if order.reduce_only and order.side == "buy":
        return "reduce_only"
    reason = (None if book.open else market_refusal(book, order)) or budget_refusal(book, order)
    if reason is None and is_miscounted(book, order):
        return "multiplier_changed"
    if reason is None and (order.post_only or order.tif == "fok") and order.type not in TRIGGERED:
        reason = liquidity_refusal(book, order)
    return reason


def time_refusal(shard: Shard, order: OrderState) -> str | None:
    """Return why an order comes too late, or None."""
    if order.deadline is not None and order.deadline < shard.at:
        return "deadline"
    if order.expires_at is not None and order.expires_at <= shard.at:
        return "expired"
    return None


def market_refusal(book: Book, order: OrderState) -> str | None:
    """Return why the instrument's state forbids this order, or None."""
    state = book.state.state
    if (
        state == "online"
        or (state == "post_only" and order.post_only)
        or (state == "limit_only" and order.type not in AT_MARKET)
        or (state == "reduce_only" and order.side == "sell")
    ):
        if order.type in TRIGGERED and not order.triggered:
            return None  # it waits outside the book, where nothing fires before trading goes on
        if book.state.paused_until is not None:
            return "instrument_paused"
        return "instrument_closed" if book.state.closed else None
    return f"instrument_{state}"


def is_miscounted(book: Book, command: OrderState | Quote) -> bool:
    """Tell whether base units were counted by a multiplier that is no longer in force."""
    counted_by = command.multiplier_e18
    return counted_by is not None and counted_by != book.state.multiplier_e18


def budget_refusal(book: Book, order: OrderState) -> str | None:
    """Return `dust` for an order worth nothing, `budget` for one its hold does not cover."""
    rate = (order.price or 0) * book.num
    quantity = order.quantity
    if quantity is None:
        quantity = notional_quantity(book, order)
    elif order.side == "sell":
        if order.budget < quantity:
            return "budget"
    elif not covers(order.budget, quantity, rate, book.den, dearest_ppm(order)):
        return "budget"
    return "dust" if quantity * rate < book.den else None


def notional_quantity(book: Book, order: OrderState) -> int:
    """Return the base units that an order by notional can rest with at its own price."""
    rate = (order.price or 0) * book.num
    wanted = quantity_within(order.remaining_notional or 0, rate, book.den)
    if order.side == "sell":
        return min(wanted, order.budget)
    return min(wanted, affordable(order.budget, rate, book.den, dearest_ppm(order)))


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


def enter(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Bring an admitted order to the book: match it, then let it rest or end it filled.

    Returns why the rest of it must be ended by the caller, or None.
    """
    ladder = book.asks if order.side == "buy" else book.bids
    stop = None
    if ladder.keys and ladder.keys[-1] >= (order.price or 0) * ladder.sign:
        stop = match(shard, book, order)
        if stop == "spent" and order.filled:
            shard.finish(order, "filled")
            return None
        if stop is not None:
            return "dust" if stop == "spent" else stop
    if never_rests(order):
        return "collar" if ladder.keys and order.type in AT_MARKET else "no_liquidity"
    if order.filled or order.triggered or order.remaining is None:
        return settle_down(shard, book, order)
    shard.rest(book, order)
    return None


def settle_down(shard: Shard, book: Book, order: OrderState) -> str | None:
    """Let the rest of an order wait in the book, or return `dust` where it is worth nothing."""
    if order.remaining_notional is not None:
        order.remaining = notional_quantity(book, order)
    if (order.remaining or 0) * (order.price or 0) * book.num < book.den:
        return "dust"
    shard.rest(book, order)
    if order.filled:
        order.status = "partially_filled"
        if order.side == "buy":
            shard.free_excess(book, order)
    return None
