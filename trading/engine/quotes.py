"""The house's standing quotes: all levels of both sides replaced at once, makers only."""

from trading.engine.arithmetic import affordable, buy_need
from trading.engine.book import Book, QuoteLevel
from trading.engine.commands import Quote
from trading.engine.entry import is_miscounted
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST, Freed, OrderState, Side


def quote(shard: Shard, command: Quote) -> None:
    """Replace the levels of an instrument's two standing quotes.

    A level that would meet an order of the other side is dropped, and what the standing budget
    does not cover is cut. A refused quote frees the increases that came with it.
    """
    reason = refusal(shard, command)
    if reason is not None:
        for order, increase in (
            (command.bid_order, command.bid_budget_increase),
            (command.ask_order, command.ask_budget_increase),
        ):
            if increase:
                shard.releases.append(Freed(order, increase))
        raise Refused(reason)
    book = shard.books[command.instrument]
    bid = standing(shard, command, command.bid_order, "buy")
    ask = standing(shard, command, command.ask_order, "sell")
    bid.budget += command.bid_budget_increase
    ask.budget += command.ask_budget_increase
    shard.clear_quote(bid)
    shard.clear_quote(ask)
    add_levels(shard, book, bid, command.bids)
    add_levels(shard, book, ask, command.asks)


def refusal(shard: Shard, command: Quote) -> str | None:
    """Return why the quote may not stand, or None."""
    book = shard.books.get(command.instrument)
    if book is None:
        return "unknown_instrument"
    if book.state.state in {"cancel_only", "maintenance", "delisted"}:
        return f"instrument_{book.state.state}"
    bids = [price for price, _ in command.bids]
    asks = [price for price, _ in command.asks]
    if (
        bids != sorted(set(bids), reverse=True)
        or asks != sorted(set(asks))
        or command.bid_order == command.ask_order
    ):
        return "poisonous"
    if bids and asks and bids[0] >= asks[0]:
        return "crossed_quote"
    if is_miscounted(book, command):
        return "multiplier_changed"
    return side_refusal(
        shard, command, command.bid_order, "buy", command.bid_budget_increase
    ) or side_refusal(shard, command, command.ask_order, "sell", command.ask_budget_increase)


def side_refusal(shard: Shard, command: Quote, id_: int, side: Side, increase: int) -> str | None:
    """Return why an order of that id cannot be this side's standing quote, or None."""
    order = shard.orders.get(id_)
    if order is None:
        return None
    if order.budget + increase > BIGGEST:
        return "budget"
    same = (
        order.type == "quote"
        and order.side == side
        and order.instrument == command.instrument
        and order.owner == command.owner
    )
    return None if same else "unknown_order"


def standing(shard: Shard, command: Quote, id_: int, side: Side) -> OrderState:
    """Return the standing quote of that id, made on first use."""
    order = shard.orders.get(id_)
    if order is None:
        order = OrderState(id_, command.owner, command.instrument, side, "quote")
        order.maker_ppm = command.maker_ppm
        order.opened_at = shard.at
        shard.quotes[id_] = []
        shard.admit(order)
    shard.touched.append(order)
    return order


def add_levels(shard: Shard, book: Book, order: OrderState, wanted: list[tuple[int, int]]) -> None:
    """Queue the levels that cross nobody, as far as the order's budget reaches."""
    own, other = (book.bids, book.asks) if order.side == "buy" else (book.asks, book.bids)
    levels = shard.quotes[order.id]
    budget = order.budget
    for price, quantity in wanted:
        if other.reaches(price):
            continue
        rate = price * book.num
        if order.side == "buy":
            fitting = min(quantity, affordable(budget, rate, book.den, order.maker_ppm))
            budget -= buy_need(fitting, rate, book.den, order.maker_ppm)
        else:
            fitting = min(quantity, budget)
            budget -= fitting
        if fitting * rate < book.den:
            continue
        shard.priority += 1
        level = QuoteLevel(order, price, fitting, shard.priority)
        levels.append(level)
        own.add(level, price, fitting)
        shard.shown.add(order.instrument)
