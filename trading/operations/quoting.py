"""The house's standing quotes.

The house quotes, it does not place: each book has one standing order of type `quote` on each side,
with one hold, and a command replaces all levels of both at once. Where, how far from the reference
and how much is policy (`HousePolicy`); what the house already has moves its quotes against it.

Quotes stand for some seconds after they were confirmed. One command a second confirms all of a
shard, so that a house which stands still costs nearly nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from common import database
from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey
from market import queries as market
from trading import queries, rules
from trading.engine.arithmetic import affordable
from trading.models import Book, Command, HousePolicy, Order, Trade
from trading.operations import inbox

NO_QUOTES = (Book.State.CANCEL_ONLY, Book.State.MAINTENANCE, Book.State.DELISTED)
SIDES = ((Order.Side.BUY, "bid"), (Order.Side.SELL, "ask"))  # and how a command names them


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

    def covered(self, *, bids: int, asks: int) -> "HouseQuote":
        """Say what of it budgets cover, best levels first: USD units for bids, base for asks."""
        scale = queries.scale_of(self.instrument)
        num, den = scale.fraction
        bought, sold = [], []
        for ticks, base in self.bids:
            size = min(base, affordable(bids, ticks * num, den, 0))
            bids -= scale.hold_for(ticks, size, 0)
            bought.append((ticks, size))
        for ticks, base in self.asks:
            size = min(base, asks)
            asks -= size
            sold.append((ticks, size))
        worth = [[one for one in levels if scale.cost(*one)] for levels in (bought, sold)]
        return replace(self, bids=worth[0], asks=worth[1])

    @property
    def prices(self) -> dict[tuple[int, str], list[int]]:
        """Say at which prices it stands, as `queries.house_levels` does."""
        pk = self.instrument.pk
        sides = ((Order.Side.BUY, self.bids), (Order.Side.SELL, self.asks))
        return {(pk, side.value): [ticks for ticks, _ in levels] for side, levels in sides}


@transaction.atomic
def quote_books(
    *, quotes: Sequence[HouseQuote], until: dict[int, int] | None = None, now: datetime
) -> list[HouseQuote]:
    """Replace the house's levels on books, but not while a quote is in the inbox, or is refused.

    :param until: when they go by shard, as it was when their prices were read; else as it is now
    :returns: what was asked for, where the house has the means
    """
    quotes = _that_may_stand(quotes)
    if not quotes:
        return []
    until = until or _until(now)
    standing = _standing_orders(quotes, now)
    balances = ledger.lock_accounts(account_ids=_accounts(standing))
    available = {account: balance.available for account, balance in balances.items()}
    shards = dict(
        Book.objects.filter(instrument__in=[quote.instrument for quote in quotes]).values_list(
            "instrument_id", "shard_id"
        )
    )
    oldest = queries.market_rule(now).max_age_s(at_market=True)
    commands, increases, asked = [], [], []
    for quote in quotes:
        orders = {name: standing[quote.instrument.pk, side] for side, name in SIDES}
        more = {name: _fill_up(orders[name], quote.need(side), available) for side, name in SIDES}
        increases += [(orders[name].hold_id or 0, units) for name, units in more.items() if units]
        covered = quote.covered(**{f"{name}s": orders[name].budget + more[name] for name in more})
        asked.append(covered)
        shard = shards[quote.instrument.pk]
        payload = _payload(covered, orders, more, until[shard])
        commands.append(inbox.NewCommand(shard, "quote", payload, max_age_s=oldest))
    ledger.increase(increases=increases)
    inbox.insert_commands(commands)
    return asked


@transaction.atomic
def confirm_quotes(*, until: dict[int, int], withdrawn: Collection[int] = ()) -> int:
    """Let the house's quotes stand for another while, but for those of some instruments.

    A shard that has not carried out the last confirmation is left alone: should it never, its
    quotes are withdrawn when their time is over.

    :param until: when they go unless they are confirmed again, by shard
    :param withdrawn: the ids of the instruments whose quotes go at once
    :returns: how many shards were told
    """
    waiting = Command.objects.filter(sequence=None, kind="confirm").values_list("shard", flat=True)
    shards = until.keys() - set(waiting)
    payload = {"withdrawn": sorted(withdrawn)}
    inbox.insert_commands(
        [inbox.NewCommand(id_, "confirm", {"until": until[id_], **payload}) for id_ in shards]
    )
    return len(shards)


class Desk:
    """The house's market maker.

    It quotes a book anew on a fill or a drift of the reference, and where a level is gone; it
    withdraws from it while there is no fresh price, none that can be believed, or no session.
    """

    def __init__(self) -> None:
        """Begin knowing nothing: the first step quotes every book."""
        self.quoted: dict[int, Decimal | None] = {}
        self._asked: dict[tuple[int, str], list[int]] = {}  # the prices, by instrument and side
        self.last_trade = Trade.objects.order_by("-id").values_list("id", flat=True).first() or 0
        self._due: set[int] = set()  # a book whose last quote still waits is tried again
        self._guard = rules.PriceGuard()
        self._multipliers: dict[int, Decimal] = {}

    def step(self, *, now: datetime) -> int:
        """Quote what changed since the last step, and confirm what stands.

        :returns: how many books got a command
        """
        until = _until(now)  # first: who hangs after reading a price must not quote it anew
        policy = queries.house_policy(now)
        instruments = list(Instrument.objects.filter(listed=True).order_by("id"))
        recounted = self._recounted(instruments)
        prices = self._prices(instruments, policy, now)
        self._due |= self._hit() | recounted
        self._due |= {pk for pk, price in prices.items() if self._drifted(pk, price, policy)}
        due = self._due | self._thinned(instruments)
        wanted = [instrument for instrument in instruments if instrument.pk in due]
        positions = queries.house_positions(wanted)
        distances = queries.house_distances(policy, now)
        quotes = [
            _quote_at(one, prices[one.pk], positions.get(one.pk, 0), policy, distances)
            for one in wanted
        ]
        asked = quote_books(quotes=quotes, until=until, now=now)
        for quote in asked:
            self.quoted[quote.instrument.pk] = prices[quote.instrument.pk]
            self._asked |= quote.prices
        self._due.difference_update(quote.instrument.pk for quote in asked)
        doubted = {pk for pk in self._due if prices.get(pk) is None}
        confirm_quotes(until=until, withdrawn=doubted)
        return len(asked)

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
                and reference.counts_for(instrument)
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

    def _thinned(self, instruments: Sequence[Instrument]) -> set[int]:
        """Find the books where a level that was asked for does not stand, for whatever reason."""
        standing = queries.house_levels(instruments)
        return {
            pk for (pk, side), prices in self._asked.items() if standing.get((pk, side)) != prices
        }

    def _recounted(self, instruments: Sequence[Instrument]) -> set[int]:
        """Find the books whose multiplier is another one: their quotes ended with the old one.

        A split moves the price of a share, and that is no leap.
        """
        before, self._multipliers = self._multipliers, {i.pk: i.multiplier for i in instruments}
        changed = {pk for pk, m in self._multipliers.items() if before.get(pk, m) != m}
        self._guard.forget(changed)
        return changed


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


def _payload(
    quote: HouseQuote, orders: dict[str, Order], more: dict[str, int], until: int
) -> dict[str, Any]:
    """Say a quote to the engine, with what was added to either hold."""
    payload: dict[str, Any] = {
        "instrument": quote.instrument.pk,
        "multiplier_e18": queries.scale_of(quote.instrument).multiplier_e18,
        "until": until,
    }
    for name, levels in (("bid", quote.bids), ("ask", quote.asks)):
        payload |= {
            f"{name}_order": orders[name].pk,
            f"{name}s": list(levels),
            f"{name}_budget_increase": more[name],
        }
    return payload


def _until(now: datetime) -> dict[int, int]:
    """Say until when quotes stand that are confirmed now, in each shard's time.

    The engine's time follows the database's clock; where that was set back, the engine is ahead.
    """
    life_us = queries.house_policy(now).quote_life_s * 1_000_000
    rows = database.prepared(
        """
        SELECT id, greatest(time_us, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) + %s
        FROM trading_shard s
        WHERE EXISTS (SELECT FROM trading_book WHERE shard_id = s.id)
        """,
        [life_us],
    )
    return dict(rows)


def _that_may_stand(quotes: Sequence[HouseQuote]) -> list[HouseQuote]:
    """Leave out what the market's state refuses, and where the engine has not seen the last quote.

    The fills of such a book are not known yet.
    """
    pending = set(
        Command.objects.filter(
            shard__books__instrument__in=[quote.instrument for quote in quotes],
            kind="quote",
            sequence=None,
        ).values_list("payload__instrument", flat=True)
    )
    books = Book.objects.exclude(engine_state={}).exclude(state__in=NO_QUOTES)
    taking = set(books.values_list("instrument_id", flat=True))
    return [q for q in quotes if q.instrument.pk in taking and q.instrument.pk not in pending]


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
