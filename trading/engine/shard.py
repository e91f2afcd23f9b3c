"""The memory of one shard: books, open orders, what is due; and what the running command changed.

Only the elementary steps are here (rest, leave, reduce, finish); the commands are made of them.
"""

from collections import deque
from heapq import heappop, heappush

from trading.engine.arithmetic import buy_need
from trading.engine.book import Book, QuoteLevel, Watch
from trading.engine.state import (
    TRIGGERED,
    Fill,
    Freed,
    InstrumentState,
    OrderState,
    OrderStatus,
    Outcome,
    ParticipantState,
)

# What falls due at the same moment happens in this order.
WITHDRAW, EXPIRE, DEAD_MAN, RESUME, PAUSE, TURN = range(6)


class Refused(Exception):
    """A command cannot be carried out; nothing has been changed yet. Its argument is the reason."""


def next_turn(state: InstrumentState) -> int | None:
    """Return when an instrument's session opens or closes next, if that is known."""
    return state.hours[0][0 if state.closed else 1] if state.hours else None


class Shard:
    """Everything the engine remembers between commands, and the changes of the current one."""

    def __init__(self) -> None:
        self.sequence = 0
        self.at = 0
        self.priority = 0
        self.books: dict[int, Book] = {}
        self.orders: dict[int, OrderState] = {}
        self.quotes: dict[int, list[QuoteLevel]] = {}
        self.owned: dict[int, int | set[int]] = {}  # by owner; most have one open order
        self.quotes_until: int | None = None
        self.deadlines: dict[int, int] = {}
        self.due: list[tuple[int, int, int]] = []
        self.moves: deque[tuple[Book, Watch, int]] = deque()
        self.touched: list[OrderState] = []
        self.instruments: dict[int, InstrumentState] = {}
        self.participants: dict[int, ParticipantState] = {}
        self.trades: list[Fill] = []
        self.releases: list[Freed] = []
        self.shown: set[int] = set()

    def outcome(self, reason: str | None) -> Outcome:
        """Return what changed since the last outcome, and begin anew.

        Orders that live on are copied; what is finished is forgotten here anyway. A reason means
        that the command was rejected.
        """
        touched = self.touched
        orders: list[OrderState] | tuple[()] = ()
        if touched:
            self.touched = []
            if len(touched) > 1:
                touched = list({order.id: order for order in touched}.values())
            orders = []
            for order in touched:
                orders.append(order if order.closed_at is not None else self.copy(order))
        trades, releases, books = self.trades or (), self.releases or (), self.shown
        if trades:
            self.trades = []
        if releases:
            self.releases = []
        if books:
            self.shown = set()
        outcome = Outcome(
            "accepted" if reason is None else "rejected", reason, trades, releases, orders, books
        )
        if self.instruments or self.participants:
            outcome.instruments = [state.__copy__() for state in self.instruments.values()]
            outcome.participants = [state.__copy__() for state in self.participants.values()]
            self.instruments.clear()
            self.participants.clear()
        return outcome

    def copy(self, order: OrderState) -> OrderState:
        """Return the order as it is now; a standing quote with its levels, best first."""
        state = order.__copy__()
        if order.type == "quote":
            levels = self.quotes[order.id]
            state.levels = [[level.price, level.remaining, level.priority] for level in levels]
        return state

    def admit(self, order: OrderState) -> None:
        """Take an order among the open ones: from here on it can be found, cancelled, expire."""
        self.orders[order.id] = order
        if order.type == "quote":
            return
        self.own(order)
        if order.expires_at is not None:
            self.schedule(order.expires_at, EXPIRE, order.id)

    def own(self, order: OrderState) -> None:
        """Note whose an open order is."""
        owned = self.owned.get(order.owner)
        if owned is None:
            self.owned[order.owner] = order.id
        elif isinstance(owned, int):
            self.owned[order.owner] = {owned, order.id}
        else:
            owned.add(order.id)

    def disown(self, order: OrderState) -> None:
        """Forget whose an order was; a standing quote is nobody's."""
        owned = self.owned.get(order.owner)
        if owned == order.id:
            del self.owned[order.owner]
        elif isinstance(owned, set):
            owned.discard(order.id)
            if not owned:
                del self.owned[order.owner]

    def rest(self, book: Book, order: OrderState) -> None:
        """Queue an admitted order in its book, last at its price; an iceberg shows its tip."""
        self.priority += 1
        order.priority = self.priority
        visible = order.remaining or 0
        if order.display is not None:
            order.displayed = visible = min(order.display, visible)
        ladder = book.bids if order.side == "buy" else book.asks
        ladder.add(order, order.price or 0, visible)
        self.touched.append(order)
        self.shown.add(order.instrument)

    def leave(self, book: Book, order: OrderState) -> None:
        """Take an order out of its book's queue, if it is in one, or from among the triggers."""
        if order.type in TRIGGERED and not order.triggered:
            book.watch(order).remove(order)
        elif order.priority:
            visible = order.remaining if order.displayed is None else order.displayed
            ladder = book.bids if order.side == "buy" else book.asks
            ladder.remove(order.price or 0, order.priority, visible or 0)
            self.shown.add(order.instrument)
        order.priority = 0

    def finish(self, order: OrderState, status: OrderStatus, reason: str | None = None) -> None:
        """End an order that is in no queue: free its budget and forget it."""
        order.status = status
        order.reason = reason
        order.closed_at = self.at
        self.touched.append(order)
        if order.budget:
            self.releases.append(Freed(order.id, order.budget))
            order.budget = 0
        if self.orders.pop(order.id, None) is not None:
            self.disown(order)

    def cancel(self, order: OrderState, reason: str, status: OrderStatus = "cancelled") -> None:
        """Take an open order off its book and end it."""
        self.leave(self.books[order.instrument], order)
        self.finish(order, status, reason)

    def cancel_owned(self, owner: int, instrument: int | None, reason: str) -> None:
        """Cancel all open orders of an owner, or those of one instrument, oldest id first."""
        owned = self.owned.get(owner, ())
        for id_ in [owned] if isinstance(owned, int) else sorted(owned):
            order = self.orders[id_]
            if instrument in {None, order.instrument}:
                self.cancel(order, reason)

    def open_order(self, id_: int) -> OrderState:
        """Return a customer's open order.

        :raises Refused: if there is none of that id
        """
        order = self.orders.get(id_)
        if order is None or order.type == "quote":
            raise Refused("unknown_order")
        return order

    def free_excess(self, book: Book, order: OrderState) -> None:
        """Free what a resting buy can no longer need, or a resting sell no longer holds."""
        remaining = order.remaining or 0
        if order.side == "buy":
            rate = (order.price or 0) * book.num
            remaining = buy_need(remaining, rate, book.den, max(order.maker_ppm, order.taker_ppm))
        if order.budget > remaining:
            self.releases.append(Freed(order.id, order.budget - remaining))
            order.budget = remaining

    def drop_level(self, book: Book, level: QuoteLevel) -> None:
        """Take one level of a standing quote out of the book."""
        order = level.order
        ladder = book.bids if order.side == "buy" else book.asks
        ladder.remove(level.price, level.priority, level.remaining)
        self.quotes[order.id].remove(level)
        self.touched.append(order)
        self.shown.add(order.instrument)

    def clear_quote(self, order: OrderState) -> None:
        """Take every level of a standing quote out of the book; the quote itself stands."""
        book = self.books[order.instrument]
        for level in list(self.quotes[order.id]):
            self.drop_level(book, level)

    def schedule(self, at: int, kind: int, id_: int) -> None:
        """Remember that something is due; what became void is swept out now and then."""
        room = 2 * (len(self.orders) + len(self.deadlines) + len(self.books)) + 64
        if len(self.due) > room:
            self.due = sorted({due for due in self.due if self.is_valid(due)})
        heappush(self.due, (at, kind, id_))

    def is_valid(self, due: tuple[int, int, int]) -> bool:
        """Tell whether what was scheduled is still to happen."""
        at, kind, id_ = due
        if kind == WITHDRAW:
            return self.quotes_until == at
        if kind == EXPIRE:
            order = self.orders.get(id_)
            return order is not None and order.expires_at == at
        if kind == DEAD_MAN:
            return self.deadlines.get(id_) == at
        state = self.books[id_].state
        if kind == RESUME:
            return state.paused_until == at
        if kind == TURN:
            return next_turn(state) == at
        return state.band_since is not None and state.band_since + state.band_after_us == at

    def next_due(self) -> tuple[int, int, int] | None:
        """Return (time, kind, id) of what happens next."""
        while self.due and not self.is_valid(self.due[0]):
            heappop(self.due)
        return self.due[0] if self.due else None
