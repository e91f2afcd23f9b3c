"""An exchange that is obviously right: a list of orders, sorted anew whenever one is needed.

It computes with fractions where the engine computes with integers, keeps no index and no queue,
and is compared with the engine after every command.
"""

from dataclasses import dataclass, field, replace
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
    deadline: int | None = None
    multiplier_e18: int | None = None
    post_only: bool = False
    stp: str = "cancel_newest"
    trigger: str = "last"
    trigger_price: int | None = None
    take_profit_price: int | None = None
    trail: int | None = None
    trail_unit: str = "ticks"
    limit_offset: int | None = None
    display: int | None = None
    close: dict[str, Any] | None = None
    displayed: int | None = None
    triggered: bool = False
    trail_extreme: int | None = None
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
    def armed(self) -> bool:
        return self.type.startswith(("stop", "take", "trail")) and not self.triggered

    @property
    def at_market(self) -> bool:
        return self.type in {"market", "stop-loss", "take-profit", "trailing-stop"}

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
    last: int | None = None
    mark: int | None = None
    band: int | None = None
    band_after: int = 0
    pause: int = 0
    band_since: int | None = None
    paused_until: int | None = None
    hours: list[list[int]] | None = None
    closed: bool = False

    @property
    def open(self) -> bool:
        return self.state == "online" and self.paused_until is None and not self.closed

    def in_session(self, at: int) -> bool:
        return self.hours is None or any(opens <= at < closes for opens, closes in self.hours)


class Refusal(Exception):
    pass


class NaiveExchange:
    def __init__(self) -> None:
        self.markets: dict[int, Market] = {}
        self.orders: list[Resting] = []
        self.priority = 0
        self.at = 0
        self.trades: list[tuple[Any, ...]] = []
        self.makers: list[Resting] = []
        self.freed: dict[int, int] = {}
        self.ended: dict[int, Resting] = {}
        self.deadlines: dict[int, int] = {}
        self.quotes_until: int | None = None
        self.prices: list[tuple[int, str, int]] = []

    def due(self) -> list[tuple[int, int, int]]:
        """Return (time, kind, id) of everything that will happen by itself, soonest first."""
        due = [(self.quotes_until, -1, 0)] if self.quotes_until is not None else []
        due += [(o.expires_at, 0, o.id) for o in self.orders if o.expires_at is not None]
        due += [(at, 1, owner) for owner, at in self.deadlines.items()]
        for id_, market in self.markets.items():
            if market.paused_until is not None:
                due.append((market.paused_until, 2, id_))
            if market.band_since is not None:
                due.append((market.band_since + market.band_after, 3, id_))
            turns = [at for span in market.hours or () for at in span]
            due += [(at, 4, id_) for at in turns if market.in_session(at) == market.closed][:1]
        return sorted(due)

    def apply(self, at: int, kind: str, payload: dict[str, Any]) -> str | None:
        """Carry out a well-formed command; return the reason if it is refused."""
        self.at = at
        self.trades, self.makers, self.freed, self.ended = [], [], {}, {}
        while self.due() and self.due()[0][0] <= at:
            self.happen(*self.due()[0])
            self.fire()
        try:
            reason = getattr(self, kind)(**payload)
        except Refusal as refusal:
            reason = str(refusal)
        self.fire()
        self.watch_bands(moved=kind in {"mark", "multiplier"})
        return reason

    def happen(self, at: int, kind: int, id_: int) -> None:
        if kind == -1:
            self.quotes_until = None
            self.withdraw_quotes(set(self.markets))
        elif kind == 0:
            order = next(o for o in self.orders if o.id == id_)
            self.end(order, "expired", "expired")
        elif kind == 1:
            del self.deadlines[id_]
            for order in sorted(self.orders, key=lambda o: o.id):
                if order.owner == id_ and order.type != "quote":
                    self.end(order, "cancelled", "cancel_all_after")
        elif kind == 2:
            self.markets[id_].paused_until = None
            self.reopened(id_)
        elif kind == 4:
            self.markets[id_].closed = not self.markets[id_].closed
            self.markets[id_].hours = [span for span in self.markets[id_].hours if span[1] > at]
            self.reopened(id_)
        else:
            self.markets[id_].band_since = None
            self.markets[id_].paused_until = at + self.markets[id_].pause

    def reopened(self, instrument: int) -> None:
        market = self.markets[instrument]
        if market.open:
            self.prices += [(instrument, "last", market.last), (instrument, "mark", market.mark)]

    def watch_bands(self, *, moved: bool) -> None:
        for id_, market in self.markets.items():
            traded = any(maker.instrument == id_ for maker in self.makers)
            if market.paused_until is not None or not (traded or moved):
                continue
            known = None not in {market.band, market.last, market.mark}
            if not known or abs(market.last - market.mark) * PPM <= market.band * market.mark:
                market.band_since = None
            elif market.band_since is None and traded:
                market.band_since = self.at

    def fire(self) -> None:
        """Look at every price in turn; one fired order enters when no price is left to look at."""
        line: list[Resting] = []
        while self.prices or line:
            if not self.prices:
                self.activate(line.pop(0))
                continue
            instrument, kind, price = self.prices.pop(0)
            if price is None or not self.markets[instrument].open:
                continue
            waiting = [o for o in self.orders if o.armed and o.instrument == instrument]
            for order in sorted(waiting, key=lambda o: o.priority):
                if order.trigger == kind and self.hit(order, price):
                    order.triggered, order.priority = True, 0
                    line.append(order)

    def hit(self, order: Resting, price: int) -> bool:
        sign = 1 if order.side == "sell" else -1  # as if all were sells: losses are below
        if order.trail is not None:
            known = [p for p in (order.trail_extreme, price) if p is not None]
            order.trail_extreme = sign * max(sign * p for p in known)
            return sign * price <= sign * self.stop_of(order)
        if order.type.startswith("take-profit"):
            return sign * price >= sign * order.trigger_price
        taken = order.take_profit_price
        if taken is not None and sign * price >= sign * taken:
            return True
        return sign * price <= sign * order.trigger_price

    def stop_of(self, order: Resting) -> int:
        trail = order.trail
        if order.trail_unit == "ppm":
            trail = max(1, floor(Fraction(order.trail_extreme * trail, PPM)))
        return order.trail_extreme + (trail if order.side == "buy" else -trail)

    def activate(self, order: Resting) -> None:
        if order.type == "trailing-stop-limit":
            limit = self.stop_of(order) + (order.limit_offset or 0)
            bounded = min(limit, order.price) if order.side == "buy" else max(limit, order.price)
            order.price = max(1, bounded)
        stop = self.book_refuses(order) or self.enter(order)
        if stop is not None:
            self.end(order, "cancelled", stop)

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
        market = self.market(instrument)
        was_open, market.state = market.open, state
        if state == "delisted":
            self.clear(instrument, "delisted")
        elif not was_open:
            self.reopened(instrument)

    def multiplier(self, instrument: int, multiplier_e18: int) -> None:
        market = self.market(instrument)
        self.clear(instrument, "corporate_action")
        market.multiplier = multiplier_e18
        market.last = market.mark = market.band_since = None
        market.worth = worth_of(market.scale, multiplier_e18)

    def mark(self, prices: dict[str, int]) -> None:
        for name, price in prices.items():
            if int(name) in self.markets:
                self.markets[int(name)].mark = price
                self.prices.append((int(name), "mark", price))

    def band(
        self, instrument: int, band_ppm: int | None, band_after_us: int, pause_us: int
    ) -> None:
        market = self.market(instrument)
        market.band, market.band_after, market.pause = band_ppm, band_after_us, pause_us
        market.band_since = None

    def hours(self, instruments: list[int], spans: list[list[int]] | None) -> None:
        for id_ in set(instruments) & set(self.markets):
            market = self.markets[id_]
            was_open = market.open
            market.hours = spans and [span for span in spans if span[1] > self.at]
            market.closed = not market.in_session(self.at)
            if not was_open:
                self.reopened(id_)

    def cancel_all_after(self, owner: int, timeout_us: int) -> None:
        self.deadlines.pop(owner, None)
        if timeout_us:
            self.deadlines[owner] = self.at + timeout_us

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
        if new.armed:
            self.priority += 1
            new.priority = self.priority
            market = self.markets[new.instrument]
            reference = market.mark if new.trigger == "mark" else market.last
            self.prices.append((new.instrument, new.trigger, reference))
            return None
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
        trigger_price: int | None = None,
    ) -> None:
        try:
            old = self.open_order(order)
            new = self.amended(old, quantity, price, budget_increase, trigger_price)
        except Refusal:
            self.free(order, budget_increase)
            raise
        if new.armed:
            self.replace_armed(old, new)
            return
        keeps_place = new.price == old.price and (new.remaining or 0) <= (old.remaining or 0)
        self.orders.remove(old)
        self.orders.append(new)
        if keeps_place:
            if new.displayed is not None:
                new.displayed = min(new.displayed, new.remaining)
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

    def replace_armed(self, old: Resting, new: Resting) -> None:
        self.orders[self.orders.index(old)] = new
        if new.notional is not None:
            new.remaining = None
        else:
            self.free_excess(new)
        market = self.markets[new.instrument]
        reference = market.mark if new.trigger == "mark" else market.last
        self.prices.append((new.instrument, new.trigger, reference))

    def quote(
        self,
        instrument: int,
        bid_order: int,
        ask_order: int,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        bid_budget_increase: int = 0,
        ask_budget_increase: int = 0,
        *,
        until: int,
        multiplier_e18: int | None = None,
    ) -> None:
        market = self.markets.get(instrument)
        refused = "unknown_instrument" if market is None else None
        if market is not None and market.state in {"cancel_only", "maintenance", "delisted"}:
            refused = f"instrument_{market.state}"
        elif bids and asks and bids[0][0] >= asks[0][0]:
            refused = refused or "crossed_quote"
        elif market is not None and until <= self.at:
            refused = "deadline"
        elif market is not None and multiplier_e18 not in {None, market.multiplier}:
            refused = "multiplier_changed"
        if refused:
            self.free(bid_order, bid_budget_increase)
            self.free(ask_order, ask_budget_increase)
            raise Refusal(refused)
        bid = self.standing(bid_order, instrument, "buy")
        ask = self.standing(ask_order, instrument, "sell")
        bid.budget += bid_budget_increase
        ask.budget += ask_budget_increase
        bid.levels, ask.levels = [], []
        if self.quotes_until is None:
            self.quotes_until = until
        self.set_levels(bid, bids)
        self.set_levels(ask, asks)

    def confirm(self, until: int, withdrawn: list[int]) -> None:
        if until <= self.at:
            raise Refusal("deadline")
        self.quotes_until = until
        self.withdraw_quotes(set(withdrawn))

    # Their parts

    def withdraw_quotes(self, instruments: set[int]) -> None:
        for order in self.orders:
            if order.instrument in instruments:
                order.levels = []

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
        """Trade each level as a limit order of the house would, and queue what is left of it."""
        market = self.markets[quote.instrument]
        trades = market.paused_until is None and not market.closed
        trades &= market.state in {"online", "limit_only"} or (
            market.state == "reduce_only" and quote.side == "buy"
        )
        held = 0
        for price, quantity in wanted:
            worth = self.worth(quote, price)
            each = worth * (1 + quote.dearest) if quote.side == "buy" else Fraction(1)
            left = min(quantity, floor((quote.budget - held) / each))
            if trades and floor(left * worth) > 0:
                quote.price, quote.remaining, quote.stp = price, left, "cancel_oldest"
                self.match(quote)
                left, quote.price, quote.remaining = quote.remaining, 0, None
            crosses = self.best_against(quote.side, quote.instrument, price)
            if floor(left * worth) > 0 and not crosses:
                held += ceil(left * each)
                self.priority += 1
                quote.levels.append([price, left, self.priority])

    def refuses(self, new: Resting, *, reduce_only: bool) -> str | None:
        market = self.markets.get(new.instrument)
        if market is None:
            return "unknown_instrument"
        if new.deadline is not None and new.deadline < self.at:
            return "deadline"
        if new.expires_at is not None and new.expires_at <= self.at:
            return "expired"
        if reduce_only and new.side == "buy":
            return "reduce_only"
        refused = self.market_refuses(new) or self.size_refuses(new)
        if not refused and new.multiplier_e18 not in {None, market.multiplier}:
            refused = "multiplier_changed"
        return refused or (None if new.armed else self.book_refuses(new))

    def market_refuses(self, new: Resting) -> str | None:
        market = self.markets[new.instrument]
        state = market.state
        allowed = {
            "online": True,
            "post_only": new.post_only,
            "limit_only": not new.at_market,
            "reduce_only": new.side == "sell",
        }
        if not allowed.get(state, False):
            return f"instrument_{state}"
        if new.armed:
            return None
        if market.paused_until is not None:
            return "instrument_paused"
        return "instrument_closed" if market.closed else None

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
            elif order.priority and not order.armed:
                shown = order.remaining if order.display is None else order.displayed
                waiting.append((order.price, order.priority, shown, order))
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
        if taker.at_market or taker.tif in {"ioc", "fok"}:
            beyond = self.against(taker.side, taker.instrument) and taker.at_market
            return "collar" if beyond else "no_liquidity"
        if taker.notional is not None:
            taker.remaining = self.notional_size(taker, taker.price, taker.dearest)
        if floor(taker.remaining * self.worth(taker)) == 0:
            return "dust"
        self.queue(taker)
        if taker.filled:
            taker.status = "partially_filled"
            if taker.side == "buy":
                self.free_excess(taker)
        return None

    def queue(self, order: Resting) -> None:
        self.priority += 1
        order.priority = self.priority
        if order.display is not None:
            order.displayed = min(order.display, order.remaining)

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
        market = self.markets[maker.instrument]
        if price != market.last:
            market.last = price
            self.prices.append((maker.instrument, "last", price))
        self.makers.append(maker)
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
            if maker.display is not None:
                maker.displayed -= quantity
                if floor(maker.displayed * self.worth(maker)) == 0:
                    self.queue(maker)

    def withdraw(self, maker: Resting, priority: int) -> None:
        self.moved = True
        if maker.type == "quote":
            maker.levels = [level for level in maker.levels if level[2] != priority]
        else:
            self.end(maker, "cancelled", "self_trade")

    def could_fill(self, taker: Resting) -> bool:
        """Try it on a copy of everything."""
        trial = NaiveExchange()
        trial.markets = {id_: replace(market) for id_, market in self.markets.items()}
        trial.priority, trial.at = self.priority, self.at
        trial.orders = [copied(order) for order in self.orders]
        probe = copied(taker)
        stop = trial.match(probe)
        return probe.remaining == 0 or (stop == "spent" and probe.filled > 0)

    def amended(
        self,
        old: Resting,
        quantity: int | None,
        price: int | None,
        increase: int,
        trigger_price: int | None,
    ) -> Resting:
        if quantity is None and price is None and trigger_price is None:
            raise Refusal("poisonous")
        fixed = old.armed and old.trigger_price is not None
        if (quantity and old.quantity is None) or (trigger_price and not fixed):
            raise Refusal("not_amendable")
        new = copied(old)
        new.budget += increase
        new.price = price or old.price
        new.trigger_price = trigger_price or old.trigger_price
        if quantity is not None:
            if quantity <= old.filled:
                raise Refusal("already_filled")
            new.quantity, new.remaining = quantity, quantity - old.filled
        if new.notional is not None:
            new.remaining = self.notional_size(new, new.price, new.dearest)
        refused = self.market_refuses(new)
        if refused is None and new.display is not None and new.quantity > 15 * new.display:
            refused = "display"
        refused = refused or self.size_refuses(new)
        refused = refused or (None if new.armed else self.book_refuses(new))
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
