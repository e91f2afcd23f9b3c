"""The house's standing quotes: all levels of both sides replaced at once, and confirmed in time.

Quotes stand for as long as their maker confirms them. What it has not confirmed when that time is
over is withdrawn, so that nobody trades at prices which nobody looks after any more.
"""

from trading.engine.arithmetic import affordable, buy_need
from trading.engine.book import Book, QuoteLevel
from trading.engine.commands import Confirm, Quote
from trading.engine.deadlines import keep_quotes
from trading.engine.entry import is_miscounted
from trading.engine.matching import match
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST, Freed, OrderState, Side


def quote(shard: Shard, command: Quote) -> None:
    """Replace the levels of an instrument's two standing quotes.

    A level that meets orders of the other side trades with them, at their prices, and what is left
    of it waits; where nothing may trade, such a level is dropped. What the standing budget does not
    cover is cut. The first quote after a withdrawal says until when all of them stand. A refused
    quote frees the increases that came with it.
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
    if shard.quotes_until is None:
        keep_quotes(shard, command.until)
    add_levels(shard, book, bid, command.bids)
    add_levels(shard, book, ask, command.asks)


def confirm(shard: Shard, command: Confirm) -> None:
    """Let the standing quotes go on, but for those of some instruments, which are withdrawn."""
    if command.until <= shard.at:
        raise Refused("deadline")
    withdrawn = set(command.withdrawn)
    for id_ in sorted(shard.quotes) if withdrawn else ():
        order = shard.orders[id_]
        if order.instrument in withdrawn:
            shard.clear_quote(order)
    keep_quotes(shard, command.until)


def refusal(shard: Shard, command: Quote) -> str | None:
    """Return why the quote may not stand, or None."""
    book = shard.books.get(command.instrument)
    if book is None:
        return "unknown_instrument"
    if book.state.state in {"cancel_only", "maintenance", "delisted"}:
        return f"instrument_{book.state.state}"
    if reason := shape_refusal(command):
        return reason
    if command.until <= shard.at:
        return "deadline"
    if is_miscounted(book, command):
        return "multiplier_changed"
    return side_refusal(
        shard, command, command.bid_order, "buy", command.bid_budget_increase
    ) or side_refusal(shard, command, command.ask_order, "sell", command.ask_budget_increase)


def shape_refusal(command: Quote) -> str | None:
    """Return why such levels can stand in no book, or None."""
    bids = [price for price, _ in command.bids]
    asks = [price for price, _ in command.asks]
    if (
        bids != sorted(set(bids), reverse=True)
        or asks != sorted(set(asks))
        or command.bid_order == command.ask_order
    ):
        return "poisonous"
    return "crossed_quote" if bids and asks and bids[0] >= asks[0] else None


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
    order.stp = "cancel_oldest"
    shard.touched.append(order)
    return order


def add_levels(shard: Shard, book: Book, order: OrderState, wanted: list[tuple[int, int]]) -> None:
    """Trade and then queue the levels, best first, as far as the order's budget reaches."""
    own, other = (book.bids, book.asks) if order.side == "buy" else (book.asks, book.bids)
    levels = shard.quotes[order.id]
    held = 0  # of the budget, by the levels before
    for price, quantity in wanted:
        rate = price * book.num
        fitting = min(quantity, covered(order, order.budget - held, rate, book.den))
        if fitting * rate >= book.den and other.reaches(price) and may_take(book, order.side):
            fitting = take(shard, book, order, price, fitting)
        if fitting * rate < book.den or other.reaches(price):
            continue
        held += need(order, fitting, rate, book.den)
        shard.priority += 1
        level = QuoteLevel(order, price, fitting, shard.priority)
        levels.append(level)
        own.add(level, price, fitting)
        shard.shown.add(order.instrument)


def covered(order: OrderState, budget: int, rate: int, den: int) -> int:
    """Return how much a level may trade within a budget."""
    return affordable(budget, rate, den, order.maker_ppm) if order.side == "buy" else budget


def need(order: OrderState, quantity: int, rate: int, den: int) -> int:
    """Return what a waiting level may need of the budget."""
    return buy_need(quantity, rate, den, order.maker_ppm) if order.side == "buy" else quantity


def may_take(book: Book, side: Side) -> bool:
    """Tell whether a level may trade at once: as an order with its limit might."""
    state = book.state
    if state.paused_until is not None or state.closed:
        return False
    return state.state in {"online", "limit_only"} or (
        state.state == "reduce_only" and side == "buy"  # from somebody who reduces
    )


def take(shard: Shard, book: Book, order: OrderState, price: int, quantity: int) -> int:
    """Let a level trade with what it reaches, first come first; return what is left of it.

    An order of the house itself that is in its way, a hedge at an older price, is cancelled.
    """
    order.price, order.remaining = price, quantity
    match(shard, book, order)
    left = order.remaining
    order.price = order.remaining = None
    return left
