"""The memory of one shard: books, open orders, what is due; and what the running command changed.

Only the elementary steps are here (rest, leave, reduce, finish); the commands are made of them.
"""

from heapq import heapify, heappop, heappush

from trading.engine.arithmetic import buy_need
from trading.engine.book import Book, QuoteLevel
from trading.engine.state import (
    Freed,
    InstrumentState,
    OrderState,
    OrderStatus,
    Outcome,
    ParticipantState,
)


class Refused(Exception):
    """A command cannot be carried out; nothing has been changed yet. Its argument is the reason."""


class Shard:
    """Everything the engine remembers between commands, and the changes of the current one."""

    def __init__(self) -> None:
        self.sequence = 0
        self.at = 0
        self.priority = 0
        self.books: dict[int, Book] = {}
        self.orders: dict[int, OrderState] = {}
        self.quotes: dict[int, list[QuoteLevel]] = {}
        self.owned: dict[int, set[int]] = {}
        self.expiries: list[tuple[int, int]] = []
        self.touched: dict[int, OrderState] = {}
        self.instruments: dict[int, InstrumentState] = {}
        self.participants: dict[int, ParticipantState] = {}
        self.begin()

    def begin(self) -> None:
        """Forget what the last command changed."""
        self.out = Outcome()
        self.touched.clear()
        if self.instruments:
            self.instruments.clear()
        if self.participants:
            self.participants.clear()

    def outcome(self, reason: str | None) -> Outcome:
        """Return what changed since `begin`, as copies; a reason means the command was rejected."""
        out = self.out
        if reason is not None:
            out.result = "rejected"
            out.reason = reason
        if self.touched:
            # What is finished is forgotten, so only what lives on needs a copy.
            out.orders = [
                order if order.closed_at is not None else self.copy(order)
                for order in self.touched.values()
            ]
        if self.instruments:
            out.instruments = [state.__copy__() for state in self.instruments.values()]
        if self.participants:
            out.participants = [state.__copy__() for state in self.participants.values()]
        return out

    def copy(self, order: OrderState) -> OrderState:
        """Return the order as it is now; a standing quote with its levels, best first."""
        state = order.__copy__()
        levels = self.quotes.get(order.id) if order.type == "quote" else None
        if levels is not None:
            state.levels = [[level.price, level.remaining, level.priority] for level in levels]
        return state

    def admit(self, order: OrderState) -> None:
        """Take an order among the open ones: from here on it can be found, cancelled, expire."""
        self.orders[order.id] = order
        if order.type == "quote":
            return
        owned = self.owned.get(order.owner)
        if owned is None:
            self.owned[order.owner] = {order.id}
        else:
            owned.add(order.id)
        if order.expires_at is not None:
            self.watch_expiry(order.expires_at, order.id)

    def rest(self, book: Book, order: OrderState) -> None:
        """Queue an admitted order in its book, last at its price."""
        self.priority += 1
        order.priority = self.priority
        self.touched[order.id] = order
        visible = order.remaining if order.displayed is None else order.displayed
        ladder = book.bids if order.side == "buy" else book.asks
        ladder.add(order, order.price or 0, visible or 0)
        self.out.books.add(order.instrument)

    def leave(self, book: Book, order: OrderState) -> None:
        """Take an order out of its book's queue, if it is in one."""
        if order.priority:
            visible = order.remaining if order.displayed is None else order.displayed
            ladder = book.bids if order.side == "buy" else book.asks
            ladder.remove(order.price or 0, order.priority, visible or 0)
            order.priority = 0
            self.out.books.add(order.instrument)

    def finish(self, order: OrderState, status: OrderStatus, reason: str | None = None) -> None:
        """End an order that is in no queue: free its budget and forget it."""
        order.status = status
        order.reason = reason
        order.closed_at = self.at
        self.touched[order.id] = order
        if order.budget:
            self.out.releases.append(Freed(order.id, order.budget))
            order.budget = 0
        if self.orders.pop(order.id, None) is not None:
            owned = self.owned[order.owner]
            owned.discard(order.id)
            if not owned:
                del self.owned[order.owner]

    def cancel(self, order: OrderState, reason: str, status: OrderStatus = "cancelled") -> None:
        """Take an open order off its book and end it."""
        self.leave(self.books[order.instrument], order)
        self.finish(order, status, reason)

    def free_excess(self, book: Book, order: OrderState) -> None:
        """Free what a resting buy can no longer need, or a resting sell no longer holds."""
        remaining = order.remaining or 0
        if order.side == "buy":
            rate = (order.price or 0) * book.num
            remaining = buy_need(remaining, rate, book.den, max(order.maker_ppm, order.taker_ppm))
        if order.budget > remaining:
            self.out.releases.append(Freed(order.id, order.budget - remaining))
            order.budget = remaining

    def drop_level(self, book: Book, level: QuoteLevel) -> None:
        """Take one level of a standing quote out of the book."""
        order = level.order
        ladder = book.bids if order.side == "buy" else book.asks
        ladder.remove(level.price, level.priority, level.remaining)
        self.quotes[order.id].remove(level)
        self.touched[order.id] = order
        self.out.books.add(order.instrument)

    def clear_quote(self, order: OrderState) -> None:
        """Take every level of a standing quote out of the book; the quote itself stands."""
        book = self.books[order.instrument]
        for level in list(self.quotes[order.id]):
            self.drop_level(book, level)

    def watch_expiry(self, at: int, order: int) -> None:
        """Remember when an order expires; what ended earlier is swept out now and then."""
        if len(self.expiries) > 2 * len(self.orders) + 64:
            self.expiries = [
                (state.expires_at, state.id)
                for state in self.orders.values()
                if state.expires_at is not None
            ]
            heapify(self.expiries)
        else:
            heappush(self.expiries, (at, order))

    def next_expiry(self) -> tuple[int, int] | None:
        """Return (due time, order id) of the open order that expires first."""
        expiries = self.expiries
        while expiries and expiries[0][1] not in self.orders:
            heappop(expiries)
        return expiries[0] if expiries else None
