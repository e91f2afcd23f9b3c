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

    def reaches(self, price: int) -> bool:
        """Tell whether a taker with this limit would meet the best level."""
        return bool(self.keys) and self.keys[-1] >= price * self.sign

    def view(self, depth: int) -> list[tuple[int, int]]:
        """Return (price, visible quantity) of the best levels, best first."""
        levels = (self.levels[key] for key in reversed(self.keys[-depth:] if depth > 0 else []))
        return [(level.price, level.visible) for level in levels]


class Book:
    """An instrument, its two ladders, and the reduced fraction that turns ticks * base into USD."""

    __slots__ = ("asks", "bids", "den", "num", "state")

    def __init__(self, state: InstrumentState) -> None:
        self.state = state
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.rescale()

    def rescale(self) -> None:
        """Take the cost fraction anew from the instrument, after its multiplier changed."""
        state = self.state
        self.num, self.den = cost_fraction(
            state.tick_num, state.tick_den, state.base_scale, state.multiplier_e18
        )

    def view(self, depth: int) -> BookView:
        """Return the visible book, at most `depth` levels a side."""
        return BookView(self.bids.view(depth), self.asks.view(depth))
