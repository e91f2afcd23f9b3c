"""What a customer holds now, what it cost, and what it is worth at the reference price."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q

import instruments.queries
import ledger.queries
import market.queries
import spending.queries
from common import database
from common.money import USD, Amount
from instruments.models import Instrument
from instruments.rules import Timeline
from ledger.queries import Move
from market.queries import Ticker
from portfolio import rules
from portfolio.models import Lot
from users.models import User

DAY = timedelta(hours=24)
TRADE = "trade:"  # begins the key of a trade's journal
SHOWN_MOVERS = 3


@dataclass(frozen=True, slots=True)
class Position:
    """One holding. Base units and USD units; None is not known.

    `cost` is what the open lots cost; trades whose lots are still being booked are not in it yet.
    """

    instrument: Instrument
    base: int
    held: int
    cost: int
    cost_base: int
    realized: int
    price: Decimal | None
    change_24h_pct: Decimal | None
    day_change: int | None

    @property
    def quantity(self) -> Decimal:
        """Shares, what is set aside for orders included."""
        return rules.shares(self.base, self.instrument.multiplier)

    @property
    def available(self) -> Decimal:
        """Shares that are not set aside."""
        return rules.shares(self.base - self.held, self.instrument.multiplier)

    @property
    def set_aside(self) -> Decimal:
        """Shares that orders to sell have set aside; a card sets aside the dollars it sold for."""
        return self.quantity - self.available

    @property
    def average_cost(self) -> Decimal | None:
        """Dollars that one share cost on average."""
        return rules.average_cost(self.cost, self.cost_base, self.instrument.multiplier)

    @property
    def value(self) -> int | None:
        """USD units that the shares are worth."""
        return self._worth(self.base)

    @property
    def unrealized(self) -> int | None:
        """USD units gained or lost on what is still held."""
        worth = self._worth(self.cost_base)
        return None if worth is None else worth - self.cost

    @property
    def unrealized_pct(self) -> Decimal | None:
        """The same in percent of the cost."""
        return None if self.unrealized is None else rules.percent(self.unrealized, self.cost)

    def _worth(self, base: int) -> int | None:
        if self.price is None:
            return None
        return rules.worth(base, self.instrument.multiplier, self.price)


@dataclass(frozen=True, slots=True)
class Lots:
    """A customer's lots of one instrument, in USD units and base units.

    :param cost: what the open ones cost
    :param base: what is left in them
    :param sold_cost: what the closed parts cost
    :param proceeds: what these brought, less fees
    :param closed_at: when the last of them was sold
    """

    cost: int = 0
    base: int = 0
    sold_cost: int = 0
    proceeds: int = 0
    closed_at: datetime | None = None

    @property
    def realized(self) -> int:
        """What sales brought beyond what the sold parts cost."""
        return self.proceeds - self.sold_cost


@dataclass(frozen=True, slots=True)
class Closed:
    """A position that was sold out, and its result in USD units."""

    instrument: Instrument
    lots: Lots

    @property
    def realized_pct(self) -> Decimal | None:
        """The result in percent of the cost."""
        return rules.percent(self.lots.realized, self.lots.sold_cost)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a customer has, in USD units; an unpriced position counts nothing.

    Money that a card payment or an order has set aside is theirs until it is taken: it counts, and
    is pending. So is what is set aside for a debt, of `owed` in all. `moves` are what came and went
    in the last 24 hours.
    """

    cash: int
    cash_held: int
    cash_card: int
    cash_debt: int
    owed: int
    positions: list[Position]
    closed: list[Closed]
    earned_before_sale: int  # in the last 24 hours, by what was sold out in them
    moves: list[Move]
    lines: dict[int, Timeline]  # what the positions' base units stood for, by instrument id

    @property
    def cash_orders(self) -> int:
        """What orders have set aside."""
        return self.cash_held - self.cash_card - self.cash_debt

    @property
    def pending(self) -> list[tuple[int, str]]:
        """Say what of the cash is set aside: USD units, and for what."""
        parts = [
            (self.cash_card, "pending on your card"),
            (self.cash_orders, "set aside for orders"),
            (self.cash_debt, "going to what you owe"),
        ]
        return [(units, words) for units, words in parts if units]

    @property
    def cash_available(self) -> int:
        """What can be spent."""
        return self.cash - self.cash_held

    @property
    def invested(self) -> int:
        """What the positions are worth."""
        return sum(position.value or 0 for position in self.positions)

    @property
    def total(self) -> int:
        """Cash and positions."""
        return self.cash + self.invested

    @property
    def day_change(self) -> int:
        """What the last 24 hours earned, money in and out aside."""
        earned = sum(position.day_change or 0 for position in self.positions)
        return earned + self.earned_before_sale

    @property
    def day_change_pct(self) -> Decimal | None:
        """The same in percent of what there would be without it."""
        return rules.percent(self.day_change, self.total - self.day_change)

    @property
    def unrealized(self) -> int:
        """What is gained or lost on everything still held."""
        return sum(position.unrealized or 0 for position in self.positions)

    @property
    def realized(self) -> int:
        """What was gained or lost on all that was sold, of these positions and of closed ones."""
        return sum(position.realized for position in self.positions) + sum(
            closed.lots.realized for closed in self.closed
        )


def balances(user: User) -> list[dict[str, str]]:
    """List what a customer has of each asset, as the API says it: shares, rebased, and dollars."""
    accounts = list(ledger.queries.customer_accounts(user))
    held = Instrument.objects.filter(asset__in=[a.asset_id for a in accounts])
    multipliers = dict(held.values_list("asset_id", "multiplier"))
    return [
        {
            "asset": account.asset.code,
            "total": _say(account.posted, account.asset, multipliers),
            "held": _say(account.held, account.asset, multipliers),
            "available": _say(account.available, account.asset, multipliers),
        }
        for account in accounts
    ]


def summary(user: User, *, now: datetime) -> Summary:
    """Add up what a customer has, the largest position first; the queries do not grow with it."""
    accounts = {account.asset_id: account for account in ledger.queries.customer_accounts(user)}
    cash = next((a for a in accounts.values() if a.asset.code == USD.code), None)
    claim = ledger.queries.claim_on(cash) if cash else None
    held = [a for a in accounts.values() if a.asset.code != USD.code and a.posted]
    held_ids = {account.asset_id for account in held}
    lots = _lots(user)
    moves = ledger.queries.moves_since(user, now - DAY)
    flows = _flows(moves)
    touched = Q(asset__in=[*held_ids, *flows]) | Q(pk__in=lots)
    known = list(Instrument.objects.filter(touched))
    found = [one for one in known if one.asset_id in held_ids]
    gone = [one for one in known if one.asset_id not in held_ids]
    gone_today = [one for one in gone if one.asset_id in flows]
    tickers = market.queries.tickers([*found, *gone_today], books=False)
    lines = instruments.queries.timelines([*found, *gone_today])
    then = {pk: rules.counted(line, now - DAY) for pk, line in lines.items()}
    earned_before = (
        _day_change(one, 0, tickers.get(one.symbol), flows[one.asset_id], then[one.pk])
        for one in gone_today
    )
    positions = [
        _position(
            instrument,
            accounts[instrument.asset_id],
            tickers.get(instrument.symbol),
            lots=lots.get(instrument.pk, Lots()),
            flow=flows.get(instrument.asset_id, (0, 0)),
            then=then[instrument.pk],
        )
        for instrument in found
    ]
    positions.sort(key=lambda one: (-(one.value or 0), one.instrument.symbol))
    closed = [Closed(one, lots[one.pk]) for one in gone if one.pk in lots]
    closed.sort(key=lambda one: str(one.lots.closed_at), reverse=True)
    return Summary(
        cash=cash.posted if cash else 0,
        cash_held=cash.held if cash else 0,
        cash_card=spending.queries.set_aside(user) if cash and cash.held else 0,
        cash_debt=claim.hold.remaining if claim else 0,
        owed=claim.owed if claim else 0,
        positions=positions,
        closed=closed,
        earned_before_sale=sum(earned or 0 for earned in earned_before),
        moves=moves,
        lines=lines,
    )


def position(user: User, symbol: str, *, now: datetime) -> Position | None:
    """Give a customer's position in one instrument, if there is one."""
    mine = summary(user, now=now).positions
    return next((one for one in mine if one.instrument.symbol == symbol), None)


def gain_of_sale(user: User, instrument: Instrument, *, quantity: int, proceeds: int) -> int | None:
    """Say what selling so many base units for so many USD units would gain, oldest lots first.

    :returns: USD units; None where the lots of what was just bought are not booked yet
    """
    lots = Lot.objects.filter(customer=user, instrument=instrument, remaining__gt=0)
    open_ = [
        rules.Open(remaining, cost)
        for remaining, cost in lots.order_by("acquired_at", "trade_id").values_list(
            "remaining", "remaining_cost"
        )
    ]
    try:
        parts = rules.close(open_, quantity=quantity, proceeds=proceeds)
    except rules.LotsMissing:
        return None
    return proceeds - sum(part.cost for part in parts)


@dataclass(frozen=True, slots=True)
class Movers:
    """What rose and what fell most in 24 hours, as (instrument, ticker)."""

    up: list[tuple[Instrument, Ticker]]
    down: list[tuple[Instrument, Ticker]]


def movers() -> Movers:
    """Find the day's movers among everything listed."""
    found = list(instruments.queries.listed())
    tickers = market.queries.tickers(found, books=False)
    moved = [
        (tickers[one.symbol].change_24h_pct or Decimal(0), one, tickers[one.symbol])
        for one in found
        if tickers[one.symbol].change_24h_pct
    ]
    moved.sort(key=lambda row: row[0])
    return Movers(
        up=[(one, ticker) for pct, one, ticker in moved[: -SHOWN_MOVERS - 1 : -1] if pct > 0],
        down=[(one, ticker) for pct, one, ticker in moved[:SHOWN_MOVERS] if pct < 0],
    )


def describe_summary(whole: Summary) -> dict[str, Any]:
    """Say everything as the API does."""
    return {
        "total_value": dollars(whole.total),
        "cash": dollars(whole.cash),
        "cash_available": dollars(whole.cash_available),
        "owed": dollars(whole.owed),
        "pending": {
            "card": dollars(whole.cash_card),
            "orders": dollars(whole.cash_orders),
            "debt": dollars(whole.cash_debt),
        },
        "day_change": dollars(whole.day_change),
        "day_change_pct": _text(whole.day_change_pct),
        "realized_pnl": dollars(whole.realized),
        "positions": [describe_position(one) for one in whole.positions],
        "closed_positions": [describe_closed(one) for one in whole.closed],
    }


def describe_closed(one: Closed) -> dict[str, str | None]:
    """Say a position that was sold out as the API does."""
    closed_at = one.lots.closed_at
    return {
        "instrument": one.instrument.symbol,
        "cost": dollars(one.lots.sold_cost),
        "proceeds": dollars(one.lots.proceeds),
        "realized_pnl": dollars(one.lots.realized),
        "closed_at": closed_at.isoformat() if closed_at else None,
    }


def describe_position(one: Position) -> dict[str, str | None]:
    """Say a position as the API does."""
    return {
        "instrument": one.instrument.symbol,
        "quantity": f"{one.quantity:f}",
        "held": f"{one.set_aside:f}",
        "available": f"{one.available:f}",
        "average_cost": _text(one.average_cost),
        "price": _text(one.price),
        "market_value": None if one.value is None else dollars(one.value),
        "unrealized_pnl": None if one.unrealized is None else dollars(one.unrealized),
        "realized_pnl": dollars(one.realized),
        "day_change": None if one.day_change is None else dollars(one.day_change),
        "change_24h_pct": _text(one.change_24h_pct),
    }


def dollars(units: int) -> str:
    """Write USD units in full."""
    return str(Amount(units, USD))


def _say(units: int, asset: Any, multipliers: dict[int, Decimal]) -> str:
    multiplier = multipliers.get(asset.pk)
    return (
        str(Amount(units, asset)) if multiplier is None else f"{rules.shares(units, multiplier):f}"
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _position(
    instrument: Instrument,
    account: Any,
    ticker: Ticker | None,
    *,
    lots: Lots,
    flow: tuple[int, int],
    then: Decimal,
) -> Position:
    price = ticker.reference_price if ticker else None
    return Position(
        instrument=instrument,
        base=account.posted,
        held=account.held,
        cost=lots.cost,
        cost_base=lots.base,
        realized=lots.realized,
        price=price,
        change_24h_pct=ticker.change_24h_pct if ticker else None,
        day_change=_day_change(instrument, account.posted, ticker, flow, then),
    )


def _day_change(
    instrument: Instrument,
    base: int,
    ticker: Ticker | None,
    flow: tuple[int, int],
    then: Decimal,
) -> int | None:
    """Say what the day earned: worth now, less worth then of what was held, less what was paid.

    :param then: the multiplier of a day ago, for a price in shares of now
    """
    if ticker is None or ticker.reference_price is None or ticker.change_24h is None:
        return None
    bought, paid = flow
    before = ticker.reference_price - ticker.change_24h
    worth = rules.worth(base, instrument.multiplier, ticker.reference_price)
    return worth - rules.worth(base - bought, then, before) - paid


def _lots(user: User) -> dict[int, Lots]:
    """Sum up a customer's lots, open and closed, by instrument."""
    query = """
        SELECT instrument_id, sum(cost)::bigint, sum(base)::bigint, sum(sold_cost)::bigint,
               sum(proceeds)::bigint, max(closed_at)
        FROM (
            SELECT instrument_id, remaining_cost AS cost, remaining AS base, 0 AS sold_cost,
                   0 AS proceeds, NULL::timestamptz AS closed_at
            FROM portfolio_lot WHERE customer_id = %(user)s AND remaining > 0
            UNION ALL
            SELECT l.instrument_id, 0, 0, c.cost, c.proceeds, c.closed_at
            FROM portfolio_lot l JOIN portfolio_lotclosing c ON c.lot_id = l.id
            WHERE l.customer_id = %(user)s
        ) AS parts GROUP BY instrument_id
    """
    return {row[0]: Lots(*row[1:]) for row in database.prepared(query, {"user": user.pk})}


def _flows(moves: list[Move]) -> dict[int, tuple[int, int]]:
    """Sum up by asset what was bought net, and paid for it net, fees included."""
    of_trade: dict[int, list[Move]] = defaultdict(list)
    for move in moves:
        if move.key.startswith(TRADE):
            of_trade[move.journal_id].append(move)
    flows: dict[int, tuple[int, int]] = {}
    for sides in of_trade.values():
        paid = -sum(move.units for move in sides if move.asset.code == USD.code)
        for move in sides:
            if move.asset.code != USD.code:
                bought, before = flows.get(move.asset.pk, (0, 0))
                flows[move.asset.pk] = bought + move.units, before + paid
    return flows
