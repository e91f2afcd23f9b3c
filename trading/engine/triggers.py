"""Orders that wait for a price: arming them, and firing them when the price has come.

Every price a trade makes, and every new mark, is looked at in turn. What it fires goes, oldest
first, to the end of a line; the orders of that line enter the book one after the other, and the
prices their own trades make are looked at before the next one enters. While an instrument is
restricted or paused nothing fires and nothing trails; when it opens, its prices are looked at once.
"""

from collections import deque

from trading.engine.book import Book, Watch
from trading.engine.entry import enter, liquidity_refusal
from trading.engine.shard import Shard
from trading.engine.state import OrderState

PPM = 1_000_000


def arm(shard: Shard, book: Book, order: OrderState) -> None:
    """Let an admitted order wait for its trigger; it may have been reached already."""
    shard.priority += 1
    order.priority = shard.priority
    shard.touched.append(order)
    book.watch(order).add(order)
    look(shard, book, book.watch(order), book.reference(order))


def look(shard: Shard, book: Book, watch: Watch, price: int | None) -> None:
    """Note that a price is to be looked at, if there is one and anybody waits for it."""
    if price is not None and watch:
        shard.moves.append((book, watch, price))


def look_again(shard: Shard, book: Book) -> None:
    """Note both prices of an instrument that has opened."""
    look(shard, book, book.by_last, book.state.last)
    look(shard, book, book.by_mark, book.state.mark)


def fire(shard: Shard) -> None:
    """Look at all noted prices and bring what they fire to the book, until it is quiet."""
    line: deque[OrderState] = deque()
    while shard.moves or line:
        if shard.moves:
            book, watch, price = shard.moves.popleft()
            if book.open:
                line.extend(fired(shard, watch, price))
        else:
            activate(shard, line.popleft())


def fired(shard: Shard, watch: Watch, price: int) -> list[OrderState]:
    """Take out the orders that a price fires, oldest first; trailing ones follow it before."""
    found = watch.reached(price)
    found += [order for order in watch.trailing.values() if follow(shard, order, price)]
    found.sort(key=lambda order: order.priority)
    for order in found:
        watch.remove(order)
        order.triggered = True
        order.priority = 0
        shard.touched.append(order)
    return found


def follow(shard: Shard, order: OrderState, price: int) -> bool:
    """Move a trailing order's extreme along with a price; tell whether the price fires it."""
    best = max if order.side == "sell" else min
    extreme = price if order.trail_extreme is None else best(order.trail_extreme, price)
    if extreme != order.trail_extreme:
        order.trail_extreme = extreme
        shard.touched.append(order)
    stop = stop_price(order)
    return price <= stop if order.side == "sell" else price >= stop


def stop_price(order: OrderState) -> int:
    """Return where a trailing order fires now: its trail away from the extreme, at least a tick."""
    extreme, trail = order.trail_extreme or 0, order.trail or 0
    if order.trail_unit == "ppm":
        trail = max(1, extreme * trail // PPM)
    return extreme - trail if order.side == "sell" else extreme + trail


def activate(shard: Shard, order: OrderState) -> None:
    """Bring a fired order to the book; what may not rest of it is cancelled."""
    book = shard.books[order.instrument]
    if order.type == "trailing-stop-limit":
        limit, worst = stop_price(order) + (order.limit_offset or 0), order.price or 0
        order.price = min(limit, worst) if order.side == "buy" else max(limit, worst)
        order.price = max(1, order.price)
    stop = liquidity_refusal(book, order) or enter(shard, book, order)
    if stop is not None:
        shard.finish(order, "cancelled", stop)
