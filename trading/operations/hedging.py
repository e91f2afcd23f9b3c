"""The dealer's hedges: what card sales left it with is offered to the market afterwards.

A hedge is a limit order on the book at the reference price, so inside the house's own spread: a
customer meets it before the house's quotes. It belongs to the same owner as those, and self-trade
prevention keeps the house from trading with itself on the public tape.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from django.db import transaction

from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey, HoldRequest
from market import queries as market
from trading import queries
from trading.models import Book, Order
from trading.operations import inbox

logger = logging.getLogger(__name__)

HOUSE = 0  # the owner of quotes and hedges in the engine
LOOKS_BACK = timedelta(days=1)  # an older position is the treasury's
STANDS_FOR = timedelta(minutes=2)  # then the price is looked at anew


@dataclass(frozen=True, slots=True)
class Hedge:
    """What is to be offered: base units at ticks, from one of the dealer's accounts."""

    instrument: Instrument
    side: str
    base: int
    ticks: int
    cash: int
    token: int

    @property
    def account(self) -> int:
        """Give the account it is paid from."""
        return self.cash if self.side == Order.Side.BUY else self.token

    @property
    def budget(self) -> int:
        """Say what to hold: USD units for a buy, base units for a sell."""
        if self.side == Order.Side.SELL:
            return self.base
        return queries.scale_of(self.instrument).hold_for(self.ticks, self.base, 0)


@transaction.atomic
def hedge_dealer(*, now: datetime) -> int:
    """Offer what the dealer has bought more than sold, or seek what it lacks, where it is much.

    An instrument with a hedge on the book waits for that one to fill or expire.

    :returns: how many hedges were placed
    """
    hedges = _due(now)
    balances = ledger.lock_accounts(account_ids={hedge.account for hedge in hedges})
    available = {account: balance.available for account, balance in balances.items()}
    covered = []
    for hedge in hedges:
        if available[hedge.account] < hedge.budget:
            logger.warning("the dealer cannot cover a hedge of %s", hedge.instrument.symbol)
            continue
        available[hedge.account] -= hedge.budget
        covered.append(hedge)
    if covered:
        _place(covered, now)
    return len(covered)


def _due(now: datetime) -> list[Hedge]:
    """Find the positions that are worth a hedge and have a price to hedge at."""
    policy = queries.house_policy(now)
    positions = queries.dealer_positions(since=now - LOOKS_BACK)
    instruments = list(
        Instrument.objects.filter(pk__in=positions, listed=True, book__state=Book.State.ONLINE)
    )
    references = market.references(instruments)
    oldest = queries.market_rule(now).reference_max_age_s
    wanted = []
    for one in instruments:
        reference = references.get(one.symbol)
        if reference is None or not reference.is_fresh(now=now, max_age_s=oldest):
            continue
        if not market.session(one, now).is_open:
            continue
        worth = abs(queries.scale_of(one).shares(positions[one.pk])) * reference.price
        if worth >= policy.hedge_usd:
            wanted.append((one, positions[one.pk], reference.price))
    tokens = ledger.open_accounts(
        keys=[AccountKey(None, one.asset_id, "dealer") for one, _, _ in wanted]
    )
    [cash] = ledger.open_accounts(keys=[AccountKey(None, books.usd().pk, "dealer")])
    return [
        _hedge(one, position, price, cash, token)
        for (one, position, price), token in zip(wanted, tokens, strict=True)
    ]


def _hedge(instrument: Instrument, position: int, price: Decimal, cash: int, token: int) -> Hedge:
    """Sell what is too much, buy what is missing; at the reference, rounded in our favor."""
    side = Order.Side.SELL if position > 0 else Order.Side.BUY
    rounding = ROUND_CEILING if side == Order.Side.SELL else ROUND_FLOOR
    ticks = int((price / instrument.tick_size).to_integral_value(rounding))
    return Hedge(instrument, side, abs(position), ticks, cash, token)


def _place(hedges: Sequence[Hedge], now: datetime) -> None:
    """Write holds, orders and commands: three statements however many."""
    holds = ledger.hold(requests=[HoldRequest(h.account, h.budget, "order") for h in hedges])
    orders = Order.objects.bulk_create(
        Order(
            customer=None,
            instrument=hedge.instrument,
            side=hedge.side,
            type=Order.Type.LIMIT,
            quantity=hedge.base,
            limit_price=hedge.instrument.tick_size * hedge.ticks,
            worst_price=hedge.instrument.tick_size * hedge.ticks,
            time_in_force=Order.TimeInForce.GTD,
            expires_at=now + STANDS_FOR,
            maker_rate=0,
            taker_rate=0,
            cash_account_id=hedge.cash,
            token_account_id=hedge.token,
            hold_id=hold,
            budget=hedge.budget,
            placed_at=now,
        )
        for hedge, hold in zip(hedges, holds, strict=True)
    )
    shards = dict(
        Book.objects.filter(instrument__in=[hedge.instrument for hedge in hedges]).values_list(
            "instrument_id", "shard_id"
        )
    )
    inbox.insert_commands(
        [
            inbox.NewCommand(
                shard=shards[order.instrument_id],
                kind="place",
                order=order.pk,
                payload={
                    "order": order.pk,
                    "owner": HOUSE,
                    "instrument": order.instrument_id,
                    "side": order.side,
                    "type": order.type,
                    "price": hedge.ticks,
                    "quantity": hedge.base,
                    "budget": hedge.budget,
                    "tif": order.time_in_force,
                    "expires_at": int((now + STANDS_FOR).timestamp() * 1_000_000),
                },
            )
            for order, hedge in zip(orders, hedges, strict=True)
        ]
    )
