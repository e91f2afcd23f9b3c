"""One instrument's order book: two ladders of price levels, each level a queue by priority."""

from bisect import bisect_left
from collections import OrderedDict

from trading.engine.arithmetic import cost_fraction
from trading.engine.state import BookView, InstrumentState, OrderState


class QuoteLevel:
    """One price of the house's standing quote, waiting in a queue like an order."""

    __slots__ = ("displayed", "order", "owner", "price", "priority", "remaining")

    def __init__(self, order: OrderState, price: int, remaining: int, priority: int) -> None:
        self.order = order
        self.owner = order.owner
        self.price = price
        self.remaining = remaining
        self.priority = priority
        self.displayed: int | None = None


Entry = OrderState | QuoteLevel


class Level:
    """Everything waiting at one price, first come first, and how much of it is visible."""

    __slots__ = ("price", "queue", "visible")

    def __init__(self, price: int) -> None:
        self.price = price
        self.queue: OrderedDict[int, Entry] = OrderedDict()
        self.visible = 0


class Ladder:
    """One side of a book.

    Levels are kept under a key that grows with their appeal: the price for bids, the negated
    price for asks. So the best one is always `keys[-1]`, and both sides share this code.
    """

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def add(self, entry: Entry, price: int, visible: int) -> None:
        """Queue an entry last at its price; its priority must be the newest."""
        key = price * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(price)
            keys = self.keys
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                keys.insert(bisect_left(keys, key), key)
        level.queue[entry.priority] = entry
        level.visible += visible

    def remove(self, price: int, priority: int, visible: int) -> None:
        """Take an entry out of its queue, and its level away when that was the last one."""
        key = price * self.sign
        level = self.levels[key]
        del level.queue[priority]
        level.visible -= visible
        if not level.queue:
            del self.levels[key]
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]

    def remove_first(self, level: Level) -> None:
        """Take the first entry out of the best level, and the level away when it was the last."""
        level.queue.popitem(last=False)
        if not level.queue:
            del self.levels[self.keys.pop()]

    def reaches(self, price: int) -> bool:
        """Tell whether a taker with this limit would meet the best level."""
        return bool(self.keys) and self.keys[-1] >= price * self.sign

    def view(self, depth: int) -> list[tuple[int, int]]:
        """Return (price, visible quantity) of the best levels, best first."""
        levels = (self.levels[key] for key in reversed(self.keys[-depth:] if depth > 0 else []))
        return [(level.price, level.visible) for level in levels]


class Watch:
    """Orders waiting for one reference price (last or mark) to reach their triggers.

    `falling` holds what fires when the price is at or below, `rising` at or above; `trailing`
    orders move their trigger along and are looked at one by one.
    """

    __slots__ = ("falling", "rising", "trailing")

    def __init__(self) -> None:
        self.falling = Ladder(1)
        self.rising = Ladder(-1)
        self.trailing: dict[int, OrderState] = {}

    def __bool__(self) -> bool:
        """Tell whether anything waits here."""
        return bool(self.falling.keys or self.rising.keys or self.trailing)

    def add(self, order: OrderState) -> None:
        """Let an order wait for its triggers."""
        if order.trail is not None:
            self.trailing[order.id] = order
        for ladder, price in self.places(order):
            ladder.add(order, price, 0)

    def remove(self, order: OrderState) -> None:
        """Let an order wait no longer."""
        if order.trail is not None:
            del self.trailing[order.id]
        for ladder, price in self.places(order):
            ladder.remove(price, order.priority, 0)

    def places(self, order: OrderState) -> list[tuple[Ladder, int]]:
        """Return the ladder and price of each fixed trigger of an order."""
        losing, winning = self.falling, self.rising
        if order.side == "buy":
            losing, winning = winning, losing
        places = []
        if order.trigger_price is not None:
            takes_profit = order.type in {"take-profit", "take-profit-limit"}
            places.append((winning if takes_profit else losing, order.trigger_price))
        if order.take_profit_price is not None:
            places.append((winning, order.take_profit_price))
        return places

    def reached(self, price: int) -> list[OrderState]:
        """Return the orders with a fixed trigger that fire at this price, unordered."""
        found: dict[int, OrderState] = {}
        for ladder in (self.falling, self.rising):
            for key in reversed(ladder.keys):
                if key < price * ladder.sign:
                    break
                for entry in ladder.levels[key].queue.values():
                    if isinstance(entry, OrderState):
                        found[entry.id] = entry
        return list(found.values())


class Book:
    """An instrument, its two ladders, and the reduced fraction that turns ticks * base into USD."""

    __slots__ = ("asks", "bids", "by_last", "by_mark", "den", "named", "num", "open", "state")

    def __init__(self, state: InstrumentState) -> None:
        self.state = state
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.named = frozenset({state.id})
        self.by_last = Watch()
        self.by_mark = Watch()
        self.rescale()
        self.reopen()

    def rescale(self) -> None:
        """Take the cost fraction anew from the instrument, after its multiplier changed."""
        state = self.state
        self.num, self.den = cost_fraction(
            state.tick_num, state.tick_den, state.base_scale, state.multiplier_e18
        )

    def reopen(self) -> None:
        """Take anew from the instrument whether trading is unrestricted."""
        state = self.state
        self.open = state.state == "online" and state.paused_until is None and not state.closed

    def watch(self, order: OrderState) -> "Watch":
        """Return where an order with a trigger waits."""
        return self.by_mark if order.trigger == "mark" else self.by_last

    def reference(self, order: OrderState) -> int | None:
        """Return the price an order's trigger looks at."""
        return self.state.mark if order.trigger == "mark" else self.state.last

    def view(self, depth: int) -> BookView:
        """Return the visible book, at most `depth` levels a side."""
        return BookView(self.bids.view(depth), self.asks.view(depth))
