"""How an order enters the book: the checks it must pass, then matching, then resting."""

from trading.engine.arithmetic import affordable, covers, quantity_within
from trading.engine.book import Book
from trading.engine.matching import fillable, match
from trading.engine.shard import TRIGGERED, Shard
from trading.engine.state import OrderState

PPM = 1_000_000
MOST_TIPS = 15  # an iceberg is at most this many times what it shows
PLAIN = frozenset({"market", "limit"})
AT_MARKET = frozenset({"market", "stop-loss", "take-profit", "trailing-stop"})
TRAILING = frozenset({"trailing-stop", "trailing-stop-limit"})


def refusal(shard: Shard, book: Book | None, order: OrderState) -> str | None:
    """Return why an order may not even meet the book, or None."""
    if book is None:
        return "unknown_instrument"
    return (
        terms_refusal(shard, order)
        or (None if book.open else market_refusal(book, order))
        or budget_refusal(book, order)
        or (None if order.type in TRIGGERED else liquidity_refusal(book, order))
    )


def terms_refusal(shard: Shard, order: OrderState) -> str | None:
    """Return what contradicts itself in an order's terms, or None."""
    if order.deadline is not None and order.deadline < shard.at:
        return "deadline"
    if order.expires_at is not None and order.expires_at <= shard.at:
        return "expired"
    if order.reduce_only and order.side == "buy":
        return "reduce_only"
    contradictory = (
        order.price is None
        or (order.quantity is None) == (order.notional is None)
        or (order.tif == "gtd") != (order.expires_at is not None)
        or (order.post_only and never_rests(order))
        or (order.type in PLAIN and is_special(order))
        or (order.type not in PLAIN and special_contradicts(order))
    )
    return "poisonous" if contradictory else None


def is_special(order: OrderState) -> bool:
    """Tell whether an order has a trigger, a trail or a display."""
    special = (order.trigger_price, order.take_profit_price, order.trail, order.display)
    return special != (None, None, None, None)


def special_contradicts(order: OrderState) -> bool:
    """Tell whether a trigger, a trail or a display is missing, or is where it has no meaning."""
    kind = order.type
    if kind == "iceberg":
        display, quantity = order.display or 0, order.quantity or 0
        return not (0 < display <= quantity <= MOST_TIPS * display) or order.trail is not None
    trailing = kind in TRAILING
    return (
        kind == "quote"
        or order.display is not None
        or (order.trail is not None) != trailing
        or (order.trigger_price is None) != trailing
        or (order.take_profit_price is not None and kind not in {"stop-loss", "stop-loss-limit"})
        or (order.trail_unit == "ppm" and (order.trail or 0) >= PPM)
    )


def market_refusal(book: Book, order: OrderState) -> str | None:
    """Return why the instrument's state forbids this order, or None."""
    state = book.state.state
    if (
        state == "online"
        or (state == "post_only" and order.post_only)
        or (state == "limit_only" and order.type not in AT_MARKET)
        or (state == "reduce_only" and order.side == "sell")
    ):
        return None if book.state.paused_until is None else "instrument_paused"
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
    return order.type in AT_MARKET or order.tif in {"ioc", "fok"}


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
        return "collar" if ladder.keys and order.type in AT_MARKET else "no_liquidity"
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
