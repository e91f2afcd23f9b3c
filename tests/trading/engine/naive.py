"""An exchange that is obviously right: a list of orders, sorted anew whenever one is needed.

It computes with fractions where the engine computes with integers, keeps no index and no queue,
and is compared with the engine after every command.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor, trunc
from typing import Any

PPM = 10**6


@dataclass(eq=False)
class Resting:
    """An order as the naive exchange knows it; a standing quote keeps a list of levels."""

    id: int
    owner: int
    instrument: int
    side: str
    type: str
    price: int = 0
    quantity: int | None = None
    notional: int | None = None
    budget: int = 0
    maker_ppm: int = 0
    taker_ppm: int = 0
    tif: str = "gtc"
    expires_at: int | None = None
    post_only: bool = False
    stp: str = "cancel_newest"
    status: str = "open"
    reason: str | None = None
    filled: int = 0
    cost: int = 0
    fee: int = 0
    remaining: int | None = None
    remaining_notional: int | None = None
    priority: int = 0
    levels: list[list[int]] = field(default_factory=list)

    @property
    def dearest(self) -> Fraction:
        return Fraction(max(self.maker_ppm, self.taker_ppm, 0), PPM)


@dataclass
class Market:
    """One instrument: the worth in USD units of one base unit at one tick."""

    worth: Fraction
    scale: tuple[int, int, int]
    multiplier: int
    state: str = "online"


class Refusal(Exception):
    pass


class NaiveExchange:
    def __init__(self) -> None:
        self.markets: dict[int, Market] = {}
        self.orders: list[Resting] = []
        self.priority = 0
        self.at = 0
        self.trades: list[tuple[Any, ...]] = []
        self.freed: dict[int, int] = {}
        self.ended: dict[int, Resting] = {}

    def apply(self, at: int, kind: str, payload: dict[str, Any]) -> str | None:
        """Carry out a well-formed command; return the reason if it is refused."""
        self.at = at
        self.trades, self.freed, self.ended = [], {}, {}
        due = [o for o in self.orders if o.expires_at is not None and o.expires_at <= at]
        for order in sorted(due, key=lambda o: (o.expires_at, o.id)):
            self.end(order, "expired", "expired")
        try:
            return getattr(self, kind)(**payload)
        except Refusal as refusal:
            return str(refusal)

    # Commands

    def clock(self) -> None:
        pass

    def instrument(
        self, instrument: int, tick_num: int, tick_den: int, multiplier_e18: int
    ) -> None:
        scale = (tick_num, tick_den, 8)
        if instrument in self.markets:
            known = self.markets[instrument]
            if (known.scale, known.multiplier) != (scale, multiplier_e18):
                raise Refusal("instrument_exists")
            return
        self.markets[instrument] = Market(worth_of(scale, multiplier_e18), scale, multiplier_e18)

    def state(self, instrument: int, state: str) -> None:
        self.market(instrument).state = state
        if state == "delisted":
            self.clear(instrument, "delisted")

    def multiplier(self, instrument: int, multiplier_e18: int) -> None:
        market = self.market(instrument)
        self.clear(instrument, "corporate_action")
        market.multiplier = multiplier_e18
        market.worth = worth_of(market.scale, multiplier_e18)

    def mark(self, prices: dict[str, int]) -> None:
        pass

    def cancel(self, order: int) -> None:
        self.end(self.open_order(order), "cancelled", "customer")

    def cancel_all(self, owner: int, instrument: int | None = None) -> None:
        if instrument is not None:
            self.market(instrument)
        for order in sorted(self.orders, key=lambda o: o.id):
            same = order.owner == owner and order.type != "quote"
            if same and instrument in {None, order.instrument}:
                self.end(order, "cancelled", "customer")

    def place(self, order: int, reduce_only: bool = False, **terms: Any) -> str | None:  # noqa: FBT001, FBT002
        new = Resting(id=order, **terms)
        new.remaining, new.remaining_notional = new.quantity, new.notional
        refused = self.refuses(new, reduce_only=reduce_only)
        if refused is not None:
            self.end(new, "rejected", refused)
            return refused
        self.orders.append(new)
        disturbed = len(self.ended)
        stop = self.enter(new)
        if stop is not None:
            alone = not new.filled and len(self.ended) == disturbed and not self.moved
            self.end(new, "rejected" if alone else "cancelled", stop)
            return stop if alone else None
        return None

    def amend(
        self,
        order: int,
        quantity: int | None = None,
        price: int | None = None,
        budget_increase: int = 0,
    ) -> None:
        try:
            old = self.open_order(order)
            new = self.amended(old, quantity, price, budget_increase)
        except Refusal:
            self.free(order, budget_increase)
            raise
        keeps_place = new.price == old.price and (new.remaining or 0) <= (old.remaining or 0)
        self.orders.remove(old)
        self.orders.append(new)
        if keeps_place:
            self.free_excess(new)
            return
        new.priority = 0
        if new.quantity is None:
            new.remaining = None
        stop = self.enter(new)
        if stop is not None:
            self.end(new, "cancelled", stop)
        elif new in self.orders:
            self.free_excess(new)

    def quote(
        self,
        instrument: int,
        bid_order: int,
        ask_order: int,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        bid_budget_increase: int = 0,
        ask_budget_increase: int = 0,
    ) -> None:
        market = self.markets.get(instrument)
        refused = "unknown_instrument" if market is None else None
        if market is not None and market.state in {"cancel_only", "maintenance", "delisted"}:
            refused = f"instrument_{market.state}"
        elif bids and asks and bids[0][0] >= asks[0][0]:
            refused = refused or "crossed_quote"
        if refused:
            self.free(bid_order, bid_budget_increase)
            self.free(ask_order, ask_budget_increase)
            raise Refusal(refused)
        bid = self.standing(bid_order, instrument, "buy")
        ask = self.standing(ask_order, instrument, "sell")
        bid.budget += bid_budget_increase
        ask.budget += ask_budget_increase
        bid.levels, ask.levels = [], []
        self.set_levels(bid, bids)
        self.set_levels(ask, asks)

    # Their parts

    def market(self, instrument: int) -> Market:
        if instrument not in self.markets:
            raise Refusal("unknown_instrument")
        return self.markets[instrument]

    def worth(self, order: Resting, price: int | None = None) -> Fraction:
        """Return the exact USD units of one base unit at a price."""
        return (order.price if price is None else price) * self.markets[order.instrument].worth

    def open_order(self, id_: int) -> Resting:
        found = [o for o in self.orders if o.id == id_ and o.type != "quote"]
        if not found:
            raise Refusal("unknown_order")
        return found[0]

    def clear(self, instrument: int, reason: str) -> None:
        for order in sorted(self.orders, key=lambda o: o.id):
            if order.instrument != instrument:
                continue
            if order.type == "quote":
                order.levels = []
            else:
                self.end(order, "cancelled", reason)

    def standing(self, id_: int, instrument: int, side: str) -> Resting:
        for order in self.orders:
            if order.id == id_:
                return order
        order = Resting(id_, 0, instrument, side, "quote")
        self.orders.append(order)
        return order

    def set_levels(self, quote: Resting, wanted: list[tuple[int, int]]) -> None:
        left = quote.budget
        for price, quantity in wanted:
            if self.best_against(quote.side, quote.instrument, price):
                continue
            worth = self.worth(quote, price)
            each = worth * (1 + quote.dearest) if quote.side == "buy" else Fraction(1)
            fitting = min(quantity, floor(left / each))
            left -= ceil(fitting * each)
            if floor(fitting * worth) > 0:
                self.priority += 1
                quote.levels.append([price, fitting, self.priority])

    def refuses(self, new: Resting, *, reduce_only: bool) -> str | None:
        market = self.markets.get(new.instrument)
        if market is None:
            return "unknown_instrument"
        if new.expires_at is not None and new.expires_at <= self.at:
            return "expired"
        if reduce_only and new.side == "buy":
            return "reduce_only"
        return self.market_refuses(new) or self.size_refuses(new) or self.book_refuses(new)

    def market_refuses(self, new: Resting) -> str | None:
        state = self.markets[new.instrument].state
        allowed = {
            "online": True,
            "post_only": new.post_only,
            "limit_only": new.type != "market",
            "reduce_only": new.side == "sell",
        }
        return None if allowed.get(state, False) else f"instrument_{state}"

    def size_refuses(self, new: Resting) -> str | None:
        size = new.remaining
        if size is None:
            size = self.notional_size(new, new.price, new.dearest)
        elif self.need(new, size) > new.budget:
            return "budget"
        return "dust" if floor(size * self.worth(new)) == 0 else None

    def book_refuses(self, new: Resting) -> str | None:
        if new.post_only and self.best_against(new.side, new.instrument, new.price):
            return "post_only_would_take"
        if new.tif == "fok" and not self.could_fill(new):
            return "fok_unfilled"
        return None

    def need(self, order: Resting, quantity: int) -> int:
        if order.side == "sell":
            return quantity
        return ceil(quantity * self.worth(order) * (1 + order.dearest))

    def notional_size(self, order: Resting, price: int, fee_rate: Fraction) -> int:
        worth = self.worth(order, price)
        size = floor(order.remaining_notional / worth)
        if order.side == "sell":
            return min(size, order.budget)
        return min(size, floor(order.budget / (worth * (1 + fee_rate))))

    def against(self, side: str, instrument: int) -> list[tuple[int, int, int, Resting]]:
        """Return (price, priority, quantity, order) of all that waits opposite, in their turn."""
        waiting = []
        for order in self.orders:
            if order.instrument != instrument or order.side == side:
                continue
            if order.type == "quote":
                waiting += [(p, priority, q, order) for p, q, priority in order.levels]
            elif order.priority:
                waiting.append((order.price, order.priority, order.remaining, order))
        sign = 1 if side == "buy" else -1
        return sorted(waiting, key=lambda w: (sign * w[0], w[1]))

    def best_against(self, side: str, instrument: int, limit: int) -> tuple | None:
        """Return what a taker with this limit would meet first."""
        for waiting in self.against(side, instrument)[:1]:
            if waiting[0] <= limit if side == "buy" else waiting[0] >= limit:
                return waiting
        return None

    def enter(self, taker: Resting) -> str | None:
        """Match, then rest; return why the remainder must go."""
        self.moved = False
        stop = self.match(taker)
        if taker.remaining == 0 or (stop == "spent" and taker.filled):
            self.end(taker, "filled", None)
            return None
        if stop is not None:
            return "dust" if stop == "spent" else stop
        if taker.type == "market" or taker.tif in {"ioc", "fok"}:
            beyond = self.against(taker.side, taker.instrument) and taker.type == "market"
            return "collar" if beyond else "no_liquidity"
        if taker.notional is not None:
            taker.remaining = self.notional_size(taker, taker.price, taker.dearest)
        if floor(taker.remaining * self.worth(taker)) == 0:
            return "dust"
        self.priority += 1
        taker.priority = self.priority
        if taker.filled:
            taker.status = "partially_filled"
            if taker.side == "buy":
                self.free_excess(taker)
        return None

    def match(self, taker: Resting) -> str | None:
        while taker.remaining != 0:
            best = self.best_against(taker.side, taker.instrument, taker.price)
            if best is None:
                break
            price, priority, offered, maker = best
            if maker.owner == taker.owner:
                if taker.stp != "cancel_newest":
                    self.withdraw(maker, priority)
                if taker.stp != "cancel_oldest":
                    return "self_trade"
                continue
            wanted = self.wanted(taker, price)
            quantity = min(wanted, offered)
            cost = floor(quantity * self.worth(taker, price))
            if cost == 0:
                return "dust" if taker.notional is None else "spent"
            self.trade(taker, maker, price, quantity, cost)
            self.reduce(maker, priority, quantity)
            if taker.remaining is None and quantity == wanted:
                return "spent"
        size = self.wanted(taker, taker.price)
        worthless = taker.notional is not None and floor(size * self.worth(taker)) == 0
        return "spent" if worthless else None

    def wanted(self, taker: Resting, price: int) -> int:
        if taker.remaining is not None:
            return taker.remaining
        return self.notional_size(taker, price, Fraction(max(taker.taker_ppm, 0), PPM))

    def trade(self, taker: Resting, maker: Resting, price: int, quantity: int, cost: int) -> None:
        fees = {
            "taker": trunc(Fraction(cost * taker.taker_ppm, PPM)),
            "maker": trunc(Fraction(cost * maker.maker_ppm, PPM)),
        }
        for order, fee in ((taker, fees["taker"]), (maker, fees["maker"])):
            order.filled += quantity
            order.cost += cost
            order.fee += fee
            order.budget -= cost + max(fee, 0) if order.side == "buy" else quantity
            if order.remaining is not None:
                order.remaining -= quantity
            if order.remaining_notional is not None:
                order.remaining_notional -= cost
        self.trades.append(
            (maker.id, taker.id, price, quantity, cost, fees["maker"], fees["taker"])
        )

    def reduce(self, maker: Resting, priority: int, quantity: int) -> None:
        if maker.type == "quote":
            for level in maker.levels:
                level[1] -= quantity if level[2] == priority else 0
            maker.levels = [x for x in maker.levels if floor(x[1] * self.worth(maker, x[0])) > 0]
            return
        if maker.remaining == 0:
            self.end(maker, "filled", None)
        elif floor(maker.remaining * self.worth(maker)) == 0:
            self.end(maker, "cancelled", "dust")
        else:
            maker.status = "partially_filled"
            if maker.side == "buy":
                self.free_excess(maker)

    def withdraw(self, maker: Resting, priority: int) -> None:
        self.moved = True
        if maker.type == "quote":
            maker.levels = [level for level in maker.levels if level[2] != priority]
        else:
            self.end(maker, "cancelled", "self_trade")

    def could_fill(self, taker: Resting) -> bool:
        """Try it on a copy of everything."""
        trial = NaiveExchange()
        trial.markets, trial.at = self.markets, self.at
        trial.orders = [copied(order) for order in self.orders]
        probe = copied(taker)
        stop = trial.match(probe)
        return probe.remaining == 0 or (stop == "spent" and probe.filled > 0)

    def amended(
        self, old: Resting, quantity: int | None, price: int | None, increase: int
    ) -> Resting:
        if quantity is None and price is None:
            raise Refusal("poisonous")
        if quantity is not None and old.quantity is None:
            raise Refusal("not_amendable")
        new = copied(old)
        new.budget += increase
        new.price = price or old.price
        if quantity is not None:
            if quantity <= old.filled:
                raise Refusal("already_filled")
            new.quantity, new.remaining = quantity, quantity - old.filled
        if new.notional is not None:
            new.remaining = self.notional_size(new, new.price, new.dearest)
        refused = self.market_refuses(new) or self.size_refuses(new) or self.book_refuses(new)
        if refused is not None:
            raise Refusal(refused)
        return new

    def free(self, order: int, amount: int) -> None:
        if amount:
            self.freed[order] = self.freed.get(order, 0) + amount

    def free_excess(self, order: Resting) -> None:
        need = self.need(order, order.remaining)
        if order.budget > need:
            self.free(order.id, order.budget - need)
            order.budget = need

    def end(self, order: Resting, status: str, reason: str | None) -> None:
        order.status, order.reason, order.priority = status, reason, 0
        self.free(order.id, order.budget)
        order.budget = 0
        if order in self.orders:
            self.orders.remove(order)
        self.ended[order.id] = order


def copied(order: Resting) -> Resting:
    return Resting(**{**vars(order), "levels": [list(level) for level in order.levels]})


def worth_of(scale: tuple[int, int, int], multiplier: int) -> Fraction:
    tick_num, tick_den, base_scale = scale
    return Fraction(tick_num * multiplier * PPM, tick_den * 10**base_scale * 10**18)
