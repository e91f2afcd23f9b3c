"""The house: standing quotes on every book, and trades at once with its dealer.

The house quotes, it does not place: each book has one standing order of type `quote` on each side,
with one hold, and a command replaces all levels of both at once. The dealer trades outside the
book, in the caller's transaction, and settles there: that is what a card can promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q

from common import realtime
from common.errors import DomainError
from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey, Entry, Leg
from market import queries as market
from market.rules import sessions
from trading import queries, rules
from trading.models import Book, Command, Order, Trade
from trading.operations.settlement import mark_settled
from users.models import User


class NothingToTrade(DomainError):
    """The amount is too small to be worth anything."""


@dataclass(frozen=True, slots=True)
class HouseQuote:
    """What one book should show: (ticks, base units), best first; empty sides withdraw."""

    instrument: Instrument
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]

    def need(self, side: str) -> int:
        """Say what the side's hold must cover: USD units for bids, base units for asks."""
        if side == Order.Side.SELL:
            return sum(base for _, base in self.asks)
        scale = queries.scale_of(self.instrument)
        return sum(scale.hold_for(ticks, base, 0) for ticks, base in self.bids)


@transaction.atomic
def quote_books(*, quotes: Sequence[HouseQuote], now: datetime) -> list[int]:
    """Replace the house's levels on books; a book with a quote still in the inbox is left out.

    :returns: the instruments whose books got a command
    """
    quotes = _without_pending(quotes)
    if not quotes:
        return []
    standing = _standing_orders(quotes, now)
    balances = ledger.lock_accounts(account_ids=_accounts(standing))
    available = {account: balance.available for account, balance in balances.items()}
    shards = dict(
        Book.objects.filter(instrument__in=[quote.instrument for quote in quotes]).values_list(
            "instrument_id", "shard_id"
        )
    )
    commands, increases = [], []
    for quote in quotes:
        payload: dict[str, Any] = {"instrument": quote.instrument.pk}
        for side, name, levels in (("buy", "bid", quote.bids), ("sell", "ask", quote.asks)):
            order = standing[quote.instrument.pk, side]
            more = _fill_up(order, quote.need(side), available)
            if more:
                increases.append((order.hold_id or 0, more))
            payload |= {
                f"{name}_order": order.pk,
                f"{name}s": list(levels),
                f"{name}_budget_increase": more,
            }
        shard = shards[quote.instrument.pk]
        commands.append(Command(shard_id=shard, kind="quote", payload=payload))
    ledger.increase(increases=increases)
    Command.objects.bulk_create(commands)
    realtime.nudge("engine")
    return [quote.instrument.pk for quote in quotes]


class Desk:
    """The house's market maker: requotes a book on a fill or a drift, withdraws without a price."""

    DRIFT = Decimal("0.0003")

    def __init__(self) -> None:
        """Begin knowing nothing: the first step quotes every book."""
        self.quoted: dict[int, Decimal | None] = {}
        self.last_trade = Trade.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def step(self, *, now: datetime) -> int:
        """Quote what changed since the last step.

        :returns: how many books got a command
        """
        instruments = list(Instrument.objects.filter(listed=True).order_by("id"))
        references = market.references(instruments)
        oldest = queries.market_rule(now).reference_max_age_s
        hit = self._hit()
        quotes, prices = [], {}
        for instrument in instruments:
            reference = references.get(instrument.symbol)
            fresh = reference and (now - reference.at).total_seconds() <= oldest
            price = reference.price if reference and fresh else None
            if not market.session(instrument, now).is_open:
                price = None
            if instrument.pk in hit or self._drifted(instrument.pk, price):
                quotes.append(_quote_at(instrument, price, now))
                prices[instrument.pk] = price
        done = quote_books(quotes=quotes, now=now)
        self.quoted |= {pk: prices[pk] for pk in done}
        return len(done)

    def _drifted(self, instrument_id: int, price: Decimal | None) -> bool:
        if instrument_id not in self.quoted:
            return True
        quoted = self.quoted[instrument_id]
        if quoted is None or price is None:
            return quoted is not price
        return abs(price - quoted) >= quoted * self.DRIFT

    def _hit(self) -> set[int]:
        """Find the books where something traded since the last look."""
        trades = Trade.objects.filter(pk__gt=self.last_trade, venue=Order.Venue.BOOK)
        rows = list(trades.values_list("id", "instrument_id").order_by("id"))
        if rows:
            self.last_trade = rows[-1][0]
        return {instrument_id for _, instrument_id in rows}


def _quote_at(instrument: Instrument, price: Decimal | None, now: datetime) -> HouseQuote:
    if price is None:
        return HouseQuote(instrument, [], [])
    scale = queries.scale_of(instrument)
    open_ = sessions.primary_is_open(now)
    sides = (
        [(ticks, scale.base_for(size, ticks)) for ticks, size in levels]
        for levels in rules.house_levels(price, tick=instrument.tick_size, wide=not open_)
    )
    return HouseQuote(instrument, *sides)


@transaction.atomic
def trade_with_house(
    *,
    customer: User,
    instrument: Instrument,
    side: str,
    quantity: int,
    price: Decimal,
    now: datetime,
    key: str,
    executed_at: datetime | None = None,
) -> Trade:
    """Trade with the house's dealer and settle in this transaction (venue `house`, T+0, no fee).

    :param side: the customer's
    :param quantity: base units
    :param price: dollars for one share, on a tick; cost rounds down
    :param key: names the trade; the same key again gives the same trade
    :raises InsufficientFunds: if either side has too little available
    :raises NothingToTrade: if it is worth less than a unit of cash
    """
    known = Order.objects.filter(customer=customer, client_order_id=_name(key)).first()
    if known:
        return Trade.objects.get(Q(buy_order=known) | Q(sell_order=known))
    scale = queries.scale_of(instrument)
    cost = scale.cost(scale.ticks(price, field="price"), quantity)
    if cost <= 0 or quantity <= 0:
        raise NothingToTrade
    at = executed_at or now
    own, house = _house_orders(customer, instrument, side, quantity, price, cost, at, key)
    buy, sell = (own, house) if side == Order.Side.BUY else (house, own)
    trade = Trade.objects.create(
        instrument=instrument,
        venue=Order.Venue.HOUSE,
        buy_order=buy,
        sell_order=sell,
        maker_side=house.side,
        price=price,
        quantity=quantity,
        multiplier=instrument.multiplier,
        cost=cost,
        buy_fee=0,
        sell_fee=0,
        executed_at=at,
    )
    legs = [
        Leg(sell.token_account_id, buy.token_account_id, quantity),
        Leg(buy.cash_account_id, sell.cash_account_id, cost),
    ]
    ledger.post(entries=[Entry(f"trade:{trade.uid}", "trade", legs)], occurred_at=at)
    mark_settled([trade], now=at)
    trade.settled_at = at
    return trade


def _without_pending(quotes: Sequence[HouseQuote]) -> list[HouseQuote]:
    """Leave books out whose last quote the engine has not seen: its fills are not known yet."""
    pending = set(
        Command.objects.filter(
            shard__books__instrument__in=[quote.instrument for quote in quotes],
            kind="quote",
            sequence=None,
        ).values_list("payload__instrument", flat=True)
    )
    listed = set(Book.objects.exclude(engine_state={}).values_list("instrument_id", flat=True))
    return [q for q in quotes if q.instrument.pk in listed and q.instrument.pk not in pending]


def _standing_orders(quotes: Sequence[HouseQuote], now: datetime) -> dict[tuple[int, str], Order]:
    """Find the two standing orders of each book; on first use they are made, holding nothing."""
    instruments = [quote.instrument for quote in quotes]
    found = _find_standing(instruments)
    missing = [i for i in instruments if (i.pk, "buy") not in found]
    if not missing:
        return found
    accounts = ledger.open_accounts(
        keys=[
            AccountKey(None, asset, "liquidity")
            for asset in [books.usd().pk, *[instrument.asset_id for instrument in missing]]
        ]
    )
    drafts = [
        _standing(instrument, side, accounts[0], token, now)
        for instrument, token in zip(missing, accounts[1:], strict=True)
        for side in Order.Side.values
    ]
    holds = ledger.open_holds(
        wanted=[
            (d.cash_account_id if d.side == "buy" else d.token_account_id, "quote") for d in drafts
        ]
    )
    for draft, hold in zip(drafts, holds, strict=True):
        draft.hold_id = hold
    Order.objects.bulk_create(drafts)
    return _find_standing(instruments)


def _find_standing(instruments: Sequence[Instrument]) -> dict[tuple[int, str], Order]:
    orders = Order.objects.filter(type=Order.Type.QUOTE, instrument__in=instruments)
    return {(order.instrument_id, order.side): order for order in orders}


def _standing(instrument: Instrument, side: str, cash: int, token: int, now: datetime) -> Order:
    return Order(
        customer=None,
        instrument=instrument,
        side=side,
        type=Order.Type.QUOTE,
        maker_rate=0,
        taker_rate=0,
        cash_account_id=cash,
        token_account_id=token,
        placed_at=now,
        status=Order.Status.OPEN,
    )


def _accounts(standing: dict[tuple[int, str], Order]) -> set[int]:
    cash = {order.cash_account_id for order in standing.values()}
    return cash | {order.token_account_id for order in standing.values()}


def _fill_up(order: Order, need: int, available: dict[int, int]) -> int:
    """Say how much more the order's hold should get, and count it as taken.

    It is filled up a fifth beyond the need, so that a drifting price costs no entry each time.
    """
    if order.budget >= need:
        return 0
    account = order.cash_account_id if order.side == Order.Side.BUY else order.token_account_id
    more = max(0, min(need * 6 // 5 - order.budget, available[account]))
    available[account] -= more
    return more


def _house_orders(
    customer: User,
    instrument: Instrument,
    side: str,
    quantity: int,
    price: Decimal,
    cost: int,
    at: datetime,
    key: str,
) -> list[Order]:
    """Write the customer's order and the dealer's, both filled, neither ever in the book."""
    usd = books.usd()
    roles: list[tuple[User | None, str]] = [
        (customer, "customer"),
        (None, "dealer"),
    ]
    ids = ledger.open_accounts(
        keys=[
            AccountKey(owner.pk if owner else None, asset, role)
            for owner, role in roles
            for asset in (usd.pk, instrument.asset_id)
        ]
    )
    other = Order.Side.SELL if side == Order.Side.BUY else Order.Side.BUY
    facts: dict[str, Any] = {
        "instrument": instrument,
        "venue": Order.Venue.HOUSE,
        "type": Order.Type.MARKET,
        "quantity": quantity,
        "worst_price": price,
        "time_in_force": Order.TimeInForce.FOK,
        "maker_rate": 0,
        "taker_rate": 0,
        "placed_at": at,
        "closed_at": at,
        "status": Order.Status.FILLED,
        "filled": quantity,
        "cost": cost,
    }
    return Order.objects.bulk_create(
        [
            Order(
                customer=customer,
                side=side,
                client_order_id=_name(key),
                cash_account_id=ids[0],
                token_account_id=ids[1],
                **facts,
            ),
            Order(
                customer=None, side=other, cash_account_id=ids[2], token_account_id=ids[3], **facts
            ),
        ]
    )


def _name(key: str) -> str:
    """Name the customer's order by the trade's key, so that it stands once."""
    return f"house:{key}"[:64]
