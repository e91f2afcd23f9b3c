"""Raising the money for a purchase: cash, and shares sold to the house, in one transaction.

Each sale locks the dealer's dollars before it asks what the dealer still buys, and keeps them
locked until it is committed: two taps at once never sell at the same level, nor beyond a limit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

import ledger.operations
import ledger.queries
import trading.operations
import trading.queries
from instruments.models import Instrument
from ledger.operations import AccountKey
from spending import rules
from spending.models import Authorization, Card, CardSale, FundingSource
from trading.models import Book, Order, Trade


@dataclass(frozen=True, slots=True)
class Raised:
    """What stands ready in the cash account to be set aside, or why nothing does.

    `units` of USD; the trades that brought some of it. Nothing was sold where `reason` is given.
    """

    cash_account: int
    units: int
    trades: list[Trade] = field(default_factory=list)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a customer's sale costs, a share of what it brings, and how much may be sold now."""

    rate: Decimal
    room: trading.queries.DealerRoom


@transaction.atomic(savepoint=False)
def raise_money(
    *,
    card: Card,
    amount: int,
    partial: bool,
    key: str,
    now: datetime,
    also: Sequence[int] = (),
) -> Raised:
    """Make an amount available in the customer's cash account, selling shares where needed.

    The caller holds the card's row, and sets the money aside in the same transaction. Accounts are
    locked before the plan is made, ids ascending: the cash alone where it is enough.

    :param also: accounts that the caller locks afterwards, so that all are locked in one order
    """
    sources = list(card.sources.select_related("asset__instrument__book").order_by("position"))
    key_of_cash = AccountKey(card.user_id, ledger.queries.usd().pk, "customer")
    (cash_account,) = ledger.operations.open_accounts(keys=[key_of_cash])
    if sources and _is_cash(sources[0]):
        cash = _lock_cash(cash_account, sources[0], amount, also)
        if cash >= amount:
            return Raised(cash_account, amount)
    rate = trading.queries.fee_tier(card.user, now).taker_rate
    plan, instruments = _plan(card, sources, amount, rate, now, also)
    short = plan.covered < amount
    if plan.covered <= 0 or (short and not partial):
        return Raised(cash_account, 0, reason=plan.obstacle or "insufficient_funds")
    trades = [
        trading.operations.trade_with_house(
            customer=card.user,
            instrument=instruments[sale.key],
            side=Order.Side.SELL,
            quantity=sale.quantity,
            price=sale.price,
            now=now,
            key=f"{key}:{number}",
            rate=rate,
        )
        for number, sale in enumerate(plan.sales)
    ]
    reason = "insufficient_funds" if short else ""
    return Raised(cash_account, plan.covered, trades, reason)


def record_sales(*, authorization: Authorization, trades: Sequence[Trade], now: datetime) -> None:
    """Write down what was sold for an authorization, and what the shares were worth then."""
    if not trades:
        return
    prices = trading.queries.prices_of([t.instrument for t in trades], now=now, lasts={})
    CardSale.objects.bulk_create(
        [
            CardSale(
                authorization=authorization,
                trade=trade,
                reference=prices.references.get(trade.instrument.symbol),
            )
            for trade in trades
        ]
    )


def lock_undoable(*, authorization: Authorization, now: datetime) -> list[CardSale]:
    """Find the sales that go with a purchase which is reversed as a whole, and lock their accounts.

    None are undone later than the policy says, nor where a share is worth more than it was at the
    sale, has another multiplier, or has no fresh price: who could choose between the cash and the
    shares, knowing what became of the price, would have an option that the house gave away.
    """
    whole = authorization.pending_units == authorization.authorized_units
    soon = timedelta(seconds=trading.queries.house_policy(now).undo_s)
    sales = list(authorization.sales.select_related("trade__instrument", "trade__sell_order"))
    if not whole or not sales or any(now - sale.trade.executed_at > soon for sale in sales):
        return []
    instruments = {sale.trade.instrument.asset_id: sale.trade.instrument for sale in sales}
    _lock(authorization.card, instruments)
    prices = trading.queries.prices_of(list(instruments.values()), now=now, lasts={}).references
    return sales if all(_is_worth_no_more(sale, prices) for sale in sales) else []


def undo_sales(*, sales: Sequence[CardSale], now: datetime) -> list[Trade]:
    """Let the dealer sell back what cards sold, at the price and the fee of the sale: all or none.

    The caller has released the money and holds the locks of `lock_undoable`.

    :returns: the trades that undo the sales; none where the dealer has not the shares any more, or
        the customer not the cash
    """
    try:
        with transaction.atomic():
            for sale in sales:
                sale.undone_by = trading.operations.trade_with_house(
                    customer=sale.authorization.card.user,
                    instrument=sale.trade.instrument,
                    side=Order.Side.BUY,
                    quantity=sale.trade.quantity,
                    price=sale.trade.price,
                    now=now,
                    key=f"undo:{sale.trade.uid}",
                    rate=-sale.trade.sell_order.taker_rate,
                )
            CardSale.objects.bulk_update(sales, ["undone_by"])
    except ledger.operations.InsufficientFunds:
        return []
    return [sale.undone_by for sale in sales if sale.undone_by]


def _is_worth_no_more(sale: CardSale, prices: dict[str, Decimal]) -> bool:
    instrument, price = sale.trade.instrument, prices.get(sale.trade.instrument.symbol)
    if price is None or sale.reference is None:
        return False
    return price <= sale.reference and sale.trade.multiplier == instrument.multiplier


def _is_cash(source: FundingSource) -> bool:
    return source.asset.code == "USD"


def _lock_cash(account: int, source: FundingSource, amount: int, also: Sequence[int]) -> int:
    """Lock the cash account and say what it may give; 0, and no lock, if that is not enough.

    The lock is taken back with its savepoint, so that a sale can take all locks in order.
    """
    savepoint = transaction.savepoint()
    balance = ledger.operations.lock_accounts(account_ids=[account, *also])[account]
    if balance.available - source.keep_units >= amount:
        transaction.savepoint_commit(savepoint)
        return amount
    transaction.savepoint_rollback(savepoint)
    return 0


def _plan(
    card: Card,
    sources: list[FundingSource],
    amount: int,
    rate: Decimal,
    now: datetime,
    also: Sequence[int],
) -> tuple[rules.Plan, dict[int, Instrument]]:
    """Lock everything a sale may touch, then decide what is sold.

    Where the house has not the cash to buy it, nothing is.

    :param rate: the customer's fee, a share of what a sale brings
    """
    instruments = {s.asset_id: s.asset.instrument for s in sources if not _is_cash(s)}
    dealer, balances = _lock(card, instruments, also)
    available = {b.asset_id: b.available for b in balances.values() if b.owner_id == card.user_id}
    terms = Terms(rate, trading.queries.dealer_room(card.user, now=now))
    plan = rules.plan(
        amount=amount,
        room=terms.room.overall,
        sources=[
            rules.Cash(available.get(source.asset_id, 0), source.keep_units)
            if _is_cash(source)
            else _shares(source, available.get(source.asset_id, 0), terms, now)
            for source in sources
        ],
    )
    if sum(sale.proceeds for sale in plan.sales) > balances[dealer].available:
        plan = rules.Plan(amount, 0, (), "asset_halted")
    return plan, instruments


def _lock(
    card: Card, asset_ids: Iterable[int], also: Sequence[int] = ()
) -> tuple[int, dict[int, ledger.queries.Balance]]:
    """Lock everything that selling assets for a card, or undoing that, may touch.

    :returns: the dealer's account of dollars, and all balances by account
    """
    assets = [ledger.queries.usd().pk, *asset_ids]
    keys = [
        AccountKey(owner, asset, role)
        for owner, role in ((None, "dealer"), (card.user_id, "customer"))
        for asset in assets
    ]
    ids = ledger.operations.open_accounts(keys=[*keys, AccountKey(None, assets[0], "fees")])
    return ids[0], ledger.operations.lock_accounts(account_ids=[*ids, *also])


def _shares(source: FundingSource, available: int, terms: Terms, now: datetime) -> rules.Shares:
    """Describe shares as the plan needs them: what there is, and what the house pays for it."""
    instrument = source.asset.instrument
    levels: list[rules.Level] = []
    obstacle: rules.Obstacle = ""
    if available > source.keep_units:
        obstacle = _halted(instrument)
        if not obstacle:
            bid = trading.queries.dealer_bid(instrument, terms.room, now=now)
            levels, obstacle = bid or [], "price_stale" if bid is None else ""
    return rules.Shares(
        key=source.asset_id,
        available=available,
        keep=source.keep_units,
        levels=levels,
        multiplier=instrument.multiplier,
        tick=instrument.tick_size,
        obstacle=obstacle,
        rate=terms.rate,
        room=terms.room.of(instrument),
    )


def _halted(instrument: Instrument) -> rules.Obstacle:
    book: Book | None = getattr(instrument, "book", None)
    online = book is not None and book.state == Book.State.ONLINE and instrument.listed
    return "" if online else "asset_halted"
