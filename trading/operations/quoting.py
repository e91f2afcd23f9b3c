"""The house's standing quotes.

The house quotes, it does not place: each book has one standing order of type `quote` on each side,
with one hold, and a command replaces all levels of both at once. Where, how far from the reference
and how much is policy (`HousePolicy`); what the house already has moves its quotes against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey
from market import queries as market
from trading import queries, rules
from trading.models import Book, Command, HousePolicy, Order, Trade
from trading.operations import inbox


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
    oldest = queries.market_rule(now).max_age_s(at_market=True)
    commands, increases = [], []
    for quote in quotes:
        payload: dict[str, Any] = {
            "instrument": quote.instrument.pk,
            "multiplier_e18": queries.scale_of(quote.instrument).multiplier_e18,
        }
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
        commands.append(inbox.NewCommand(shard, "quote", payload, max_age_s=oldest))
    ledger.increase(increases=increases)
    inbox.insert_commands(commands)
    return [quote.instrument.pk for quote in quotes]


class Desk:
    """The house's market maker.

    It quotes a book anew on a fill or a drift of the reference, and withdraws from it while there
    is no fresh price, none that can be believed, or no session.
    """

    def __init__(self) -> None:
        """Begin knowing nothing: the first step quotes every book."""
        self.quoted: dict[int, Decimal | None] = {}
        self.last_trade = Trade.objects.order_by("-id").values_list("id", flat=True).first() or 0
        self._due: set[int] = set()  # a book whose last quote still waits is tried again
        self._guard = rules.PriceGuard()
        self._multipliers: dict[int, Decimal] = {}

    def step(self, *, now: datetime) -> int:
        """Quote what changed since the last step.

        :returns: how many books got a command
        """
        policy = queries.house_policy(now)
        instruments = list(Instrument.objects.filter(listed=True).order_by("id"))
        prices = self._prices(instruments, policy, now)
        self._due |= self._hit() | self._recounted(instruments)
        self._due |= {pk for pk, price in prices.items() if self._drifted(pk, price, policy)}
        wanted = [instrument for instrument in instruments if instrument.pk in self._due]
        positions = queries.house_positions(wanted)
        distances = queries.house_distances(policy, now)
        quotes = [
            _quote_at(one, prices[one.pk], positions.get(one.pk, 0), policy, distances)
            for one in wanted
        ]
        done = quote_books(quotes=quotes, now=now)
        self.quoted |= {pk: prices[pk] for pk in done}
        self._due.difference_update(done)
        return len(done)

    def _prices(
        self, instruments: Sequence[Instrument], policy: HousePolicy, now: datetime
    ) -> dict[int, Decimal | None]:
        """Give the price that each book is to be quoted around, None where it is to be left."""
        references = market.references(instruments)
        oldest = queries.market_rule(now).reference_max_age_s
        prices: dict[int, Decimal | None] = {}
        for instrument in instruments:
            reference = references.get(instrument.symbol)
            usable = (
                reference is not None
                and reference.is_fresh(now=now, max_age_s=oldest)
                and market.session(instrument, now).is_open
                and self._guard.believes(
                    instrument.pk,
                    reference.price,
                    jump_bp=policy.jump_bp,
                    calm_s=policy.jump_calm_s,
                    now=now,
                )
            )
            prices[instrument.pk] = reference.price if reference and usable else None
        return prices

    def _drifted(self, instrument_id: int, price: Decimal | None, policy: HousePolicy) -> bool:
        if instrument_id not in self.quoted:
            return True
        quoted = self.quoted[instrument_id]
        if quoted is None or price is None:
            return quoted is not price
        return abs(price - quoted) >= quoted * policy.requote_bp * rules.BP

    def _hit(self) -> set[int]:
        """Find the books where something traded since the last look."""
        trades = Trade.objects.filter(pk__gt=self.last_trade, venue=Order.Venue.BOOK)
        rows = list(trades.values_list("id", "instrument_id").order_by("id"))
        if rows:
            self.last_trade = rows[-1][0]
        return {instrument_id for _, instrument_id in rows}

    def _recounted(self, instruments: Sequence[Instrument]) -> set[int]:
        """Find the books whose multiplier is another one: the quote went with the old one."""
        before, self._multipliers = self._multipliers, {i.pk: i.multiplier for i in instruments}
        return {pk for pk, m in self._multipliers.items() if before.get(pk, m) != m}


def _quote_at(
    instrument: Instrument,
    price: Decimal | None,
    position: int,
    policy: HousePolicy,
    distances: Sequence[int],
) -> HouseQuote:
    """Say what the house shows around a price; nothing where there is none.

    :param position: base units that the house's quotes have bought more than sold
    """
    if price is None:
        return HouseQuote(instrument, [], [])
    scale = queries.scale_of(instrument)
    levels = rules.house_levels(
        price,
        tick=instrument.tick_size,
        away_bp=distances,
        sizes_usd=policy.sizes_usd,
        lean_bp=rules.lean(
            scale.shares(position) * price,
            full_usd=policy.inventory_usd,
            skew=policy.skew,
            first_bp=distances[0],
        ),
    )
    bids, asks = ([(t, scale.base_for(size, t)) for t, size in side] for side in levels)
    return HouseQuote(instrument, bids, asks)


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
