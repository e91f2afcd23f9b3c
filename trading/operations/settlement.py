"""Settlement: delivery versus payment, one journal a trade, each once.

One settler works at a time, by an advisory lock of its transaction. It takes what is due, oldest
first, locks every account involved in id order, posts all journals, places what closes a purchase,
gives all releases back and marks the rows. A batch that fails is halved until the one trade that
can't be settled stands alone; that one is held back with its reason, and the rest go on.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import DatabaseError, InternalError, OperationalError, transaction

from common import database
from common.errors import DomainError
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey, Capture, Entry, Leg
from market import operations as market
from market.models import TapeTrade
from trading import rules, signals
from trading.models import Order, Release, Trade
from trading.operations.closes import place_closes

logger = logging.getLogger(__name__)

BATCH = 500
Due = Callable[[], list[int]]
Settle = Callable[[list[int], datetime], int | None]
# What journals, tape and closes are made of; orders are wide, and the rest of them is not needed.
READ = (
    *("uid", "venue", "price", "quantity", "multiplier", "cost", "executed_at", "maker_side"),
    *("buy_fee", "buy_order__hold_id", "buy_order__cash_account_id", "buy_order__token_account_id"),
    *("buy_order__close", "buy_order__customer__simulated", "sell_order__customer__simulated"),
    *("buy_order__maker_rate", "buy_order__taker_rate"),
    *("sell_fee", "sell_order__hold_id"),
    *("sell_order__cash_account_id", "sell_order__token_account_id"),
    *("instrument__symbol", "instrument__tick_size", "instrument__multiplier"),
)
LOCK = 7_002  # of pg_try_advisory_xact_lock: one settler
PASSING = (OperationalError, InternalError)  # the database's trouble: no trade is to blame


def settle_due(*, now: datetime) -> int:
    """Settle every trade and give back every release that is due.

    :returns: how many rows were done; 0 too if another settler is at work
    """
    return _drain(_unsettled, _settle_trades, now) + _drain(_unconsumed, _give_back, now)


def _drain(due: Due, settle: Settle, now: datetime) -> int:
    """Take what is due batch by batch until nothing is, or somebody else does it.

    What became due since the last look has asked for one of its own.
    """
    done, more = 0, True
    while more and (ids := due()):
        settled = _halving(ids, settle, now)
        done += settled or 0
        more = settled is not None and len(ids) == BATCH
    return done


def _unsettled() -> list[int]:
    query = """
        SELECT id FROM trading_trade WHERE settled_at IS NULL AND held_back = ''
        ORDER BY id LIMIT %s
    """
    return [row[0] for row in database.prepared(query, [BATCH])]


def _unconsumed() -> list[int]:
    query = "SELECT id FROM trading_release WHERE consumed_by_id IS NULL ORDER BY id LIMIT %s"
    return [row[0] for row in database.prepared(query, [BATCH])]


def _halving(ids: list[int], settle: Settle, now: datetime) -> int | None:
    """Settle a batch; where it fails, its halves, down to the one that is to blame.

    :raises DatabaseError: if the database can't settle just now; the rows stay due
    """
    try:
        return settle(ids, now)
    except (DatabaseError, DomainError) as failure:
        if len(ids) == 1:
            if settle is not _settle_trades or isinstance(failure, PASSING):
                raise  # a release beyond its hold is a broken promise, not an accident
            return _hold_back(ids[0], failure)
        logger.warning("settlement of %s rows failed, halving: %s", len(ids), failure)
    middle = len(ids) // 2
    parts = [_halving(part, settle, now) for part in (ids[:middle], ids[middle:])]
    return None if None in parts else sum(part or 0 for part in parts)


def _alone() -> bool:
    """Become the only settler until this transaction ends, if nobody else is."""
    [(alone,)] = database.prepared("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    return bool(alone)


@transaction.atomic
def _settle_trades(trade_ids: list[int], now: datetime) -> int | None:
    if not _alone():
        return None
    due = Trade.objects.filter(pk__in=trade_ids, settled_at=None, held_back="")
    trades = list(
        due.select_related("buy_order__customer", "sell_order__customer", "instrument")
        .only(*READ)
        .order_by("id")
    )
    fees = fee_account()
    ledger.post(entries=[entry_of(trade, fees) for trade in trades], occurred_at=now)
    place_closes(trades, now=now)
    mark_settled(trades, now=now)
    return len(trades)


@transaction.atomic
def _give_back(release_ids: list[int], _now: datetime) -> int | None:
    """Give parts of holds back, and write on each release which entry did."""
    if not _alone():
        return None
    releases = Release.objects.filter(pk__in=release_ids, consumed_by=None).order_by("id")
    due = [row for row in releases.values_list("id", "order__hold_id", "amount") if row[1]]
    entries = ledger.release(releases=[(hold, amount) for _, hold, amount in due])
    database.prepared(
        "UPDATE trading_release r SET consumed_by_id = u.entry"
        " FROM unnest(%s::bigint[], %s::bigint[]) AS u(id, entry) WHERE r.id = u.id",
        [[row[0] for row in due], entries],
    )
    return len(due)


def mark_settled(trades: Sequence[Trade], *, now: datetime) -> None:
    """Mark trades whose journals are posted in this transaction, write the tape, announce them."""
    if not trades:
        return
    ids = [trade.pk for trade in trades]
    query = "UPDATE trading_trade SET settled_at = %s WHERE id = ANY (%s::bigint[])"
    database.prepared(query, [now, ids])
    on_book = [trade for trade in trades if trade.venue == Order.Venue.BOOK]
    if on_book:
        market.record_trades(trades=[_tape_trade(trade) for trade in on_book])
    signals.trades_settled.send(sender=Trade, trade_ids=ids)


def _tape_trade(trade: Trade) -> TapeTrade:
    scale = rules.Scale.of(trade.instrument.tick_size, trade.multiplier)
    return TapeTrade(
        uid=trade.uid,
        instrument=trade.instrument,
        price=trade.price,
        quantity=scale.shares(trade.quantity),
        side="sell" if trade.maker_side == Order.Side.BUY else "buy",
        at=trade.executed_at,
        simulated=any(
            order.customer is not None and order.customer.simulated
            for order in (trade.buy_order, trade.sell_order)
        ),
    )


def fee_account() -> int:
    """Give the house's account of fees."""
    key = AccountKey(None, books.usd().pk, "fees")
    return ledger.open_accounts(keys=[key])[0]


def entry_of(trade: Trade, fees: int) -> Entry:
    """Say a trade as a journal: shares one way, their cost the other, both fees."""
    buy, sell = trade.buy_order, trade.sell_order
    legs = [
        Leg(sell.token_account_id, buy.token_account_id, trade.quantity),
        Leg(buy.cash_account_id, sell.cash_account_id, trade.cost),
    ]
    for account, fee in (
        (buy.cash_account_id, trade.buy_fee),
        (sell.cash_account_id, trade.sell_fee),
    ):
        if fee > 0:
            legs.append(Leg(account, fees, fee))
        elif fee < 0:
            legs.append(Leg(fees, account, -fee))
    captures = []
    if buy.hold_id:
        captures.append(Capture(buy.hold_id, trade.cost + max(trade.buy_fee, 0)))
    if sell.hold_id:
        captures.append(Capture(sell.hold_id, trade.quantity))
    return Entry(f"trade:{trade.uid}", "trade", legs, captures)


def _hold_back(trade_id: int, failure: Exception) -> int:
    reason = f"{type(failure).__name__}: {failure}"[:200]
    logger.error("trade %s is held back: %s", trade_id, reason)
    Trade.objects.filter(pk=trade_id, settled_at=None).update(held_back=reason)
    return 1
