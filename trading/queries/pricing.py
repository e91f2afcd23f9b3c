"""What an order may cost: its worst price, fixed when it is accepted, and an estimate before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import msgspec

from common import database
from common.errors import DomainError
from common.money import USD, Amount
from instruments.models import Instrument
from market import queries as market
from trading import rules
from trading.models import LIMITED, STOPPING, TRIGGERED, Book, MarketRule, Order
from trading.queries.fees import fee_tier
from users.models import User

STANDING = """
    SELECT o.id, o.engine_state->'levels'
    FROM trading_order o
    JOIN trading_book b ON b.instrument_id = o.instrument_id
    JOIN trading_shard s ON s.id = b.shard_id
    WHERE o.type = 'quote' AND o.instrument_id = %s AND o.side = %s
      AND s.quotes_until_us > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""


class PriceStale(DomainError):
    """There is no fresh price for this just now; a limit order still works."""


class TrailTooWide(DomainError):
    """The trail is as wide as the price itself, so this order would never fire."""

    field = "trail"


@dataclass(frozen=True, slots=True)
class Quote:
    """The house's standing quote on one side: (price, base units), best first."""

    order_id: int
    levels: list[tuple[Decimal, int]]


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would do now: shares and dollars, estimates but for `worst_price` and rates.

    The fee is a taker's, or a maker's where the order only ever rests; negative is a rebate.
    """

    estimated_price: Decimal
    estimated_quantity: Decimal
    estimated_cost: Decimal
    fee: Decimal
    maker_rate: Decimal
    taker_rate: Decimal
    worst_price: Decimal


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices that orders are measured by at one moment.

    :param rule: the market's bounds then in force
    :param references: fresh reference prices, by symbol
    :param known: reference prices that can be true, however old, by symbol
    :param lasts: prices of the last trades, by instrument id
    """

    now: datetime
    rule: MarketRule
    references: dict[str, Decimal]
    known: dict[str, Decimal]
    lasts: dict[int, Decimal]

    @property
    def collar(self) -> Decimal:
        """How far from the reference a market order may go now, as a share of it."""
        open_ = market.primary_is_open(self.now)
        return self.rule.collar_open if open_ else self.rule.collar_closed

    @property
    def widest_collar(self) -> Decimal:
        """How far from its trigger an order may go that fires at an hour nobody knows."""
        return max(self.rule.collar_open, self.rule.collar_closed)

    def reference(self, instrument: Instrument) -> Decimal:
        """Give the reference price.

        :raises PriceStale: if the feed has given none for longer than the market's rule allows
        """
        if instrument.symbol not in self.references:
            raise PriceStale
        return self.references[instrument.symbol]

    def watched(self, instrument: Instrument, trigger: str) -> Decimal | None:
        """Give the price that a trigger looks at, the reference where nothing traded yet."""
        reference = self.references.get(instrument.symbol)
        if trigger == Order.Trigger.INDEX:
            return reference
        return self.lasts.get(instrument.pk, reference)

    def most_paid(self, instrument: Instrument, *, limit: Decimal, by_dollars: bool) -> Decimal:
        """Give the price of one share at which an order's smallest size is counted.

        A worst price says what may be paid at most, and not what anything is worth: nobody pays
        more than the reference, or for an order by dollars more than the widest collar around it.
        Without a reference only the limit is known.

        :param limit: the worst price of the order
        """
        known = self.known.get(instrument.symbol, limit)
        if by_dollars:
            known = _around(known, instrument, "buy", self.widest_collar)
        return min(limit, known)


def prices_of(
    instruments: Sequence[Instrument], *, now: datetime, lasts: dict[int, Decimal] | None = None
) -> Prices:
    """Read the prices that orders in these instruments are measured by.

    :param lasts: prices of last trades, where the caller has read them
    """
    rule = market_rule(now)
    if lasts is None:
        books = Book.objects.filter(instrument__in=instruments)
        rows = books.values_list("instrument_id", "last_price")
        lasts = {pk: price for pk, price in rows if price is not None}
    listed = {instrument.symbol: instrument for instrument in instruments}
    told = {
        symbol: reference
        for symbol, reference in market.references(instruments).items()
        if reference.counts_for(listed[symbol])
        and rules.is_believable(reference.price, lasts.get(listed[symbol].pk))
    }
    known = {symbol: reference.price for symbol, reference in told.items()}
    fresh = {
        symbol: known[symbol]
        for symbol, reference in told.items()
        if reference.is_fresh(now=now, max_age_s=rule.reference_max_age_s)
    }
    return Prices(now, rule, fresh, known, lasts)


def market_rule(now: datetime) -> MarketRule:
    """Give the market's bounds in force."""
    newest = "WHERE since <= %s ORDER BY since DESC LIMIT 1"
    return database.read(MarketRule, newest, [now.date()])[0]


def scale_of(instrument: Instrument) -> rules.Scale:
    """Say how an instrument counts."""
    return rules.Scale.of(instrument.tick_size, instrument.multiplier)


def scale_then(order: Order) -> rules.Scale:
    """Say how an order's instrument counted when it was placed."""
    return rules.Scale.of(order.instrument.tick_size, order.multiplier)


def fresh_reference(instrument: Instrument, *, now: datetime) -> Decimal:
    """Give the reference price.

    :raises PriceStale: if the feed has given none for longer than the market's rule allows
    """
    return prices_of([instrument], now=now, lasts={}).reference(instrument)


def collar_width(now: datetime) -> Decimal:
    """Give how far from the reference a market order may go, as a share of it."""
    rule = market_rule(now)
    return rule.collar_open if market.primary_is_open(now) else rule.collar_closed


def collars(instrument: Instrument, *, now: datetime) -> tuple[Decimal, Decimal]:
    """Give the worst prices that a market order may get: selling and buying.

    :raises PriceStale: if there is no fresh reference price
    """
    prices = prices_of([instrument], now=now, lasts={})
    reference, width = prices.reference(instrument), prices.collar
    return (
        _around(reference, instrument, Order.Side.SELL, width),
        _around(reference, instrument, Order.Side.BUY, width),
    )


def worst_price(draft: Any, prices: Prices) -> Decimal:
    """Give the worst price an order may ever get; it is fixed when the order is accepted.

    That is its limit where it has one. A market order goes no further than the collar around the
    reference; one that fires later, no further than the widest collar around its trigger. A
    trailing order never fires at a worse price than it would fire at now.

    :param draft: a `trading.operations.OrderDraft`
    :raises PriceStale: where a price is needed and there is no fresh one
    :raises TrailTooWide: if a trailing sell would wait for a price of nothing
    """
    instrument: Instrument = draft.instrument
    if draft.limit_price is not None:
        return Decimal(draft.limit_price)
    if draft.type == Order.Type.MARKET:
        return _around(prices.reference(instrument), instrument, draft.side, prices.collar)
    fires = fires_at(draft, prices)
    if draft.type == Order.Type.TRAILING_STOP_LIMIT:
        return max(fires + Decimal(draft.limit_offset), scale_of(instrument).tick)
    return _around(fires, instrument, draft.side, prices.widest_collar)


def fires_at(draft: Any, prices: Prices) -> Decimal:
    """Give the price at which an order with a trigger fires; a trailing one, as things are now.

    :raises PriceStale: where a price is needed and there is no fresh one
    :raises TrailTooWide: if a trailing sell would wait for a price of nothing
    """
    if draft.type in STOPPING:
        return Decimal(draft.trigger_price)
    anchor = prices.watched(draft.instrument, draft.trigger)
    if anchor is None:
        raise PriceStale
    trail = Decimal(draft.trail or anchor * draft.trail_percent / 100)
    tick = scale_of(draft.instrument).tick
    buying = draft.side == Order.Side.BUY
    fires = anchor + trail if buying else anchor - trail
    whole = (fires / tick).to_integral_value(ROUND_CEILING if buying else ROUND_FLOOR)
    if whole <= 0:
        raise TrailTooWide
    return whole * tick


def expected_price(draft: Any, prices: Prices) -> Decimal:
    """Give the price at which all of an order is valued: its limit, its trigger, or the reference.

    :raises PriceStale: where a price is needed and there is no fresh one
    """
    if draft.limit_price is not None:
        return Decimal(draft.limit_price)
    if draft.type == Order.Type.MARKET:
        return prices.reference(draft.instrument)
    return fires_at(draft, prices)


def _around(price: Decimal, instrument: Instrument, side: str, width: Decimal) -> Decimal:
    return rules.collar(price, side=side, width=width, tick=scale_of(instrument).tick)


def standing_quote(instrument: Instrument, side: str, *, now: datetime) -> Quote | None:
    """Give the house's quote on a side, or None where it must not be relied upon.

    It is relied upon while its maker confirms it (by the database's clock, which the engine's
    follows), while the reference price is fresh, and only as far as the collar around it, on both
    sides: who sells to a bid far above it takes the house's money.

    :param side: what the house does: `buy` is what a seller meets
    """
    found = database.prepared(STANDING, [instrument.pk, side])
    if not found:
        return None
    [(order_id, text)] = found
    try:
        lowest, highest = collars(instrument, now=now)
    except PriceStale:
        return None
    scale = scale_of(instrument)
    standing = msgspec.json.decode(text or "null") or ()
    levels = [(scale.price(ticks), base) for ticks, base, *_ in standing]
    inside = [(price, base) for price, base in levels if lowest <= price <= highest]
    return Quote(order_id, inside) if inside else None


def preview(*, draft: Any, customer: User, now: datetime) -> Preview:
    """Say what an order would do just now, walking the house's quote up to its worst price.

    Where it would not trade at once the estimate is at its limit, or at what it fires at.

    :param draft: a `trading.operations.OrderDraft`
    :raises PriceStale: where a price is needed and there is no fresh one
    """
    scale = scale_of(draft.instrument)
    prices = prices_of([draft.instrument], now=now)
    worst = worst_price(draft, prices)
    reach = _reach(draft, worst, now)
    price = reach[0][0] if reach else _resting_price(draft, worst, prices)
    ticks = int(price / scale.tick)
    if draft.quantity is not None:
        base = scale.base(draft.quantity, selling=draft.side == Order.Side.SELL)
        cost = _walk(scale, reach, base) or scale.cost(ticks, base)
    else:
        cost = Amount.parse(draft.notional, USD, field="notional").units
        base = scale.base_for(cost, ticks)
    tier = fee_tier(customer, now)
    rate = tier.maker_rate if draft.post_only else tier.taker_rate
    shares = scale.shares(base)
    dollars = Amount(cost, USD).decimal
    return Preview(
        estimated_price=(dollars / shares).quantize(scale.tick) if shares else price,
        estimated_quantity=shares,
        estimated_cost=dollars,
        fee=Amount(rules.fee(cost, rate), USD).decimal,
        maker_rate=tier.maker_rate,
        taker_rate=tier.taker_rate,
        worst_price=worst,
    )


def _resting_price(draft: Any, worst: Decimal, prices: Prices) -> Decimal:
    """Give the price to expect of an order that does not trade at once."""
    if draft.type in LIMITED or draft.type == Order.Type.TRAILING_STOP_LIMIT:
        return worst
    return worst if draft.type == Order.Type.MARKET else fires_at(draft, prices)


def _reach(draft: Any, worst: Decimal, now: datetime) -> list[tuple[Decimal, int]]:
    """Give the levels of the house's quote that the order would meet at once, best first."""
    if draft.type in TRIGGERED:
        return []
    buying = draft.side == Order.Side.BUY
    quote = standing_quote(draft.instrument, "sell" if buying else "buy", now=now)
    levels = quote.levels if quote else []
    return [level for level in levels if (level[0] <= worst if buying else level[0] >= worst)]


def _walk(scale: rules.Scale, levels: list[tuple[Decimal, int]], base: int) -> int:
    """Give the cost of so much through the levels, or 0 where they do not reach."""
    cost = 0
    for price, size in levels:
        taken = min(size, base)
        cost += scale.cost(int(price / scale.tick), taken)
        base -= taken
        if not base:
            return cost
    return 0
