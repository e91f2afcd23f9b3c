"""The dealer's hedges: what card sales left it with is offered to the market afterwards.

A hedge is a limit order on the book near the reference price, so inside the house's own spread: a
customer meets it before the house's quotes. It stands for seconds and is then priced anew, so that
nobody picks it off once the price has moved. The larger the position, the more the hedge concedes,
within the slippage of the policy. It belongs to the same owner as the quotes, and self-trade
prevention keeps the house from trading with itself on the public tape.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey, HoldRequest
from market import queries as market
from trading import queries, rules
from trading.models import Book, Order
from trading.operations import inbox

logger = logging.getLogger(__name__)

HOUSE = 0  # the owner of quotes and hedges in the engine
LOOKS_BACK = timedelta(days=1)  # an older position is the treasury's


@dataclass(frozen=True, slots=True)
class Hedge:
    """What is to be offered: base units at ticks, from one of the dealer's accounts."""

    instrument: Instrument
    side: str
    base: int
    ticks: int
    cash: int
    token: int
    expires_at: datetime

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
    references = queries.prices_of(instruments, now=now).references
    wanted = []
    for one in instruments:
        price = references.get(one.symbol)
        if price is None or not market.session(one, now).is_open:
            continue
        worth = queries.scale_of(one).shares(positions[one.pk]) * price
        if abs(worth) >= policy.hedge_usd:
            ticks = rules.hedge_ticks(
                price,
                tick=one.tick_size,
                position_usd=worth,
                full_usd=policy.inventory_usd,
                slippage_bp=policy.hedge_slippage_bp,
            )
            wanted.append((one, positions[one.pk], ticks))
    tokens = ledger.open_accounts(
        keys=[AccountKey(None, one.asset_id, "dealer") for one, _, _ in wanted]
    )
    [cash] = ledger.open_accounts(keys=[AccountKey(None, books.usd().pk, "dealer")])
    until = now + timedelta(seconds=policy.hedge_stands_s)
    return [
        Hedge(
            one,
            Order.Side.SELL if position > 0 else Order.Side.BUY,
            abs(position),
            ticks,
            cash,
            token,
            until,
        )
        for (one, position, ticks), token in zip(wanted, tokens, strict=True)
    ]


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
            multiplier=hedge.instrument.multiplier,
            limit_price=hedge.instrument.tick_size * hedge.ticks,
            worst_price=hedge.instrument.tick_size * hedge.ticks,
            time_in_force=Order.TimeInForce.GTD,
            expires_at=hedge.expires_at,
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
                    "expires_at": int(hedge.expires_at.timestamp() * 1_000_000),
                },
            )
            for order, hedge in zip(orders, hedges, strict=True)
        ]
    )
