"""The two plainest commands, each in one piece, because nearly all commands are one of them.

A limit order enters its book, and a waiting one is taken off. What they do is exactly what
`orders.place` and `orders.cancel` do; wherever anything is not plain they return None, having
changed nothing, and leave the command to those.
"""

from trading.engine.arithmetic import covers
from trading.engine.commands import Cancel
from trading.engine.deadlines import conclude
from trading.engine.entry import is_miscounted
from trading.engine.orders import enter_new
from trading.engine.shard import Shard
from trading.engine.state import Freed, OrderState, Outcome


def place(shard: Shard, order: OrderState) -> Outcome | None:
    """Bring a good-till-cancelled limit order by quantity to the book."""
    quantity, price = order.quantity, order.price
    book = shard.books.get(order.instrument)
    if order.type != "limit" or order.tif != "gtc" or order.deadline is not None:
        return None
    if quantity is None or price is None or order.post_only or order.reduce_only:
        return None
    if book is None or not book.open or order.id in shard.orders:
        return None
    if order.side == "buy":
        own, other = book.bids, book.asks
        dearest = max(order.taker_ppm, order.maker_ppm)
        covered = covers(order.budget, quantity, price * book.num, book.den, dearest)
    else:
        own, other = book.asks, book.bids
        covered = order.budget >= quantity
    if not covered or quantity * price * book.num < book.den or is_miscounted(book, order):
        return None
    order.opened_at = shard.at
    shard.orders[order.id] = order
    shard.own(order)
    if other.keys and other.keys[-1] >= price * other.sign:
        return conclude(shard, enter_new(shard, book, order))
    shard.priority = order.priority = shard.priority + 1
    own.add(order, price, quantity)
    return Outcome("accepted", None, (), (), (order.__copy__(),), book.named)


def cancel(shard: Shard, command: Cancel) -> Outcome | None:
    """Take a waiting limit order off its book."""
    order = shard.orders.get(command.id)
    if order is None:
        return Outcome("rejected", "unknown_order")
    if order.type != "limit":
        return None
    book = shard.books[order.instrument]
    ladder = book.bids if order.side == "buy" else book.asks
    ladder.remove(order.price or 0, order.priority, order.remaining or 0)
    order.priority = 0
    del shard.orders[order.id]
    shard.disown(order)
    order.status = "cancelled"
    order.reason = command.reason or "customer"
    order.closed_at = shard.at
    freed = Freed(order.id, order.budget)
    order.budget = 0
    return Outcome("accepted", None, (), (freed,), (order,), book.named)
