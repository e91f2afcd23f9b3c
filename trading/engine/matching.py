"""A taker meets the other side of the book, best price first and first come first."""

from collections import deque

from trading.engine.arithmetic import affordable, fee_of, quantity_within
from trading.engine.book import Book, Entry, Ladder, QuoteLevel
from trading.engine.shard import Shard
from trading.engine.state import Fill, OrderState


def match(shard: Shard, book: Book, taker: OrderState) -> str | None:
    """Trade an order against everything it reaches.

    Returns why what is left of it must be cancelled (`self_trade`, `dust`); `spent` when it is
    complete, which an order by notional is when it has no money left for a base unit; or None when
    nothing more is in reach.
    """
    buying = taker.side == "buy"
    ladder = book.asks if buying else book.bids
    reach = (taker.price or 0) * ladder.sign
    keys = ladder.keys
    shard.shown.add(taker.instrument)
    while keys and keys[-1] >= reach:
        level = ladder.levels[keys[-1]]
        rate = level.price * book.num
        maker = next(iter(level.queue.values()))
        if maker.owner == taker.owner:
            if prevent_self_trade(shard, book, maker, taker.stp):
                return "self_trade"
            continue
        wanted = taker.remaining
        if wanted is None:
            wanted = notional_wanted(taker, rate, book.den)
        offered = maker.remaining if maker.displayed is None else maker.displayed
        quantity = wanted if offered is None or wanted < offered else offered
        cost = quantity * rate // book.den
        if cost == 0:
            return "dust" if taker.remaining is not None else "spent"
        trade(shard, book, taker, maker, level.price, quantity, cost)
        level.visible -= quantity
        if not maker.remaining and isinstance(maker, OrderState):
            ladder.remove_first(level)
            maker.priority = 0
            shard.finish(maker, "filled")
        else:
            settle_maker(shard, book, ladder, maker, quantity)
        if quantity == wanted:
            return "spent"
    return "spent" if spent(taker, book) else None


def notional_wanted(taker: OrderState, rate: int, den: int) -> int:
    """Return the base units an order by notional still wants at this price, within its budget."""
    wanted = quantity_within(taker.remaining_notional or 0, rate, den)
    if taker.side == "sell":
        return min(wanted, taker.budget)
    return min(wanted, affordable(taker.budget, rate, den, taker.taker_ppm))


def spent(taker: OrderState, book: Book) -> bool:
    """Tell whether an order by notional has too little left for a base unit at its own price."""
    if taker.remaining is not None:
        return False
    rate = (taker.price or 0) * book.num
    return notional_wanted(taker, rate, book.den) * rate // book.den == 0


def trade(
    shard: Shard,
    book: Book,
    taker: OrderState,
    maker: Entry,
    price: int,
    quantity: int,
    cost: int,
) -> None:
    """Write one fill into both orders and the outcome; the book's queues are the caller's."""
    waiting = maker.order if isinstance(maker, QuoteLevel) else maker
    taker_fee = fee_of(cost, taker.taker_ppm)
    maker_fee = fee_of(cost, waiting.maker_ppm)
    if taker.side == "buy":
        buy, sell, buy_fee, sell_fee = taker, waiting, taker_fee, maker_fee
    else:
        buy, sell, buy_fee, sell_fee = waiting, taker, maker_fee, taker_fee
    buy.budget -= cost + buy_fee if buy_fee > 0 else cost
    sell.budget -= quantity
    record(shard, buy, quantity, cost, buy_fee)
    record(shard, sell, quantity, cost, sell_fee)
    state, side = book.state, waiting.side
    shard.trades.append(
        Fill(
            state.id,
            waiting.id,
            taker.id,
            buy.id,
            sell.id,
            price,
            quantity,
            cost,
            buy_fee,
            sell_fee,
            side,
            state.multiplier_e18,
        )
    )
    if price != state.last or state.band_ppm is not None:
        tell_price(shard, book, price)


def record(shard: Shard, order: OrderState, quantity: int, cost: int, fee: int) -> None:
    """Write a fill into one of its orders: what it got, what it paid, what is left."""
    order.filled += quantity
    order.cost += cost
    if fee:
        order.fee += fee
    if order.remaining is not None:
        order.remaining -= quantity
    if order.remaining_notional is not None:
        order.remaining_notional -= cost
    shard.touched.append(order)


def tell_price(shard: Shard, book: Book, price: int) -> None:
    """Keep the price of a trade, and note it for those who wait for one."""
    state = book.state
    shard.instruments[state.id] = state
    if price != state.last:
        state.last = price
        if book.by_last:
            shard.moves.append((book, book.by_last, price))


def settle_maker(shard: Shard, book: Book, ladder: Ladder, maker: Entry, quantity: int) -> None:
    """Bring the maker's queue in line with a fill that left some of it: what is worthless goes."""
    if isinstance(maker, QuoteLevel):
        maker.remaining -= quantity
        if maker.remaining * maker.price * book.num < book.den:
            shard.drop_level(book, maker)
        return
    price = maker.price or 0
    shown = rest = maker.remaining or 0
    if maker.displayed is not None:
        shown = maker.displayed = maker.displayed - quantity
    if shown * price * book.num >= book.den:
        maker.status = "partially_filled"
        if maker.side == "buy":
            shard.free_excess(book, maker)
        return
    ladder.remove(price, maker.priority, shown)
    maker.priority = 0
    if rest * price * book.num >= book.den:
        maker.status = "partially_filled"
        shard.rest(book, maker)
        shard.free_excess(book, maker)
    else:
        shard.finish(maker, "cancelled", "dust")


def prevent_self_trade(shard: Shard, book: Book, maker: Entry, policy: str) -> bool:
    """Cancel the waiting order where the policy says so; tell whether the taker must stop."""
    if policy != "cancel_newest":
        if isinstance(maker, QuoteLevel):
            shard.drop_level(book, maker)
        else:
            shard.cancel(maker, "self_trade")
    return policy != "cancel_oldest"


def fillable(book: Book, taker: OrderState) -> bool:
    """Tell whether the book can fill an order completely and at once, without touching it."""
    ladder = book.asks if taker.side == "buy" else book.bids
    reach = (taker.price or 0) * ladder.sign
    trial = taker.__copy__()
    for key in reversed(ladder.keys):
        if key < reach:
            break
        level = ladder.levels[key]
        queue = deque(
            (maker.owner, maker.displayed, maker.remaining or 0, tip_of(maker))
            for maker in level.queue.values()
        )
        while queue:
            owner, displayed, remaining, tip = queue.popleft()
            if owner == taker.owner:
                if taker.stp == "cancel_oldest":
                    continue
                return False
            offered = remaining if displayed is None else displayed
            done = try_slice(book, trial, level.price, offered)
            if done is not None:
                return done
            hidden = remaining - offered
            if tip and hidden * level.price * book.num >= book.den:  # less goes as dust
                queue.append((owner, min(tip, hidden), hidden, tip))
    return trial.filled > 0 and spent(trial, book)


def tip_of(maker: Entry) -> int | None:
    """Return how much an iceberg shows at a time."""
    return None if isinstance(maker, QuoteLevel) else maker.display


def try_slice(book: Book, trial: OrderState, price: int, offered: int) -> bool | None:
    """Fill a trial order from one offer; True when it is complete, False when it never can be."""
    rate = price * book.num
    wanted = trial.remaining
    if wanted is None:
        wanted = notional_wanted(trial, rate, book.den)
    quantity = min(wanted, offered)
    cost = quantity * rate // book.den
    if cost == 0:
        return trial.remaining is None and trial.filled > 0
    trial.filled += quantity
    if trial.side == "buy":
        trial.budget -= cost + max(fee_of(cost, trial.taker_ppm), 0)
    else:
        trial.budget -= quantity
    if trial.remaining is not None:
        trial.remaining -= quantity
    if trial.remaining_notional is not None:
        trial.remaining_notional -= cost
    return True if quantity == wanted else None
