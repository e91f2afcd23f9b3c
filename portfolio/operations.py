"""Booking lots: what a settled trade means for what shares cost, once each."""

import logging
from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction

from common import realtime
from portfolio import rules
from portfolio.models import Lot, LotClosing, LotDue
from trading.models import Trade

logger = logging.getLogger(__name__)

BATCH = 500
LOCK = 7_003  # of pg_try_advisory_xact_lock: one booker
BOOK_LOTS = "portfolio.tasks.book_lots"
SOON_S = 0.2  # nobody waits for lots, and a hundred are booked as fast as one
# What lots are made of; orders are wide, and the rest of them is not needed.
READ = (
    *(f"trade__{name}" for name in ("uid", "instrument_id", "quantity", "cost", "executed_at")),
    *("trade__buy_fee", "trade__buy_order__customer_id"),
    *("trade__sell_fee", "trade__sell_order__customer_id"),
)

Holding = tuple[int, int]  # customer, instrument


@transaction.atomic(savepoint=False)
def mark_lots_due(*, trade_ids: Sequence[int]) -> None:
    """Write down that trades wait for their lots, in the transaction that settles them."""
    LotDue.objects.bulk_create(
        [LotDue(trade_id=trade_id) for trade_id in trade_ids], ignore_conflicts=True
    )
    realtime.run_soon(BOOK_LOTS, after_s=SOON_S)


def book_lots() -> int:
    """Book the lots of every trade that waits, in the order of settlement.

    A trade whose lots cannot be booked yet stays due, and later ones of the same holding wait
    behind it. Killed anywhere, it goes on where it was; two at once are one.

    :returns: how many trades were booked
    """
    booked, last, blocked = 0, 0, set[Holding]()
    while batch := _book_batch(last, blocked):
        booked += batch.booked
        last = batch.last
    return booked


@dataclass(slots=True)
class Batch:
    """What one transaction booked."""

    lots: dict[Holding, list[Lot]]
    blocked: set[Holding]  # since a trade of theirs could not be booked
    last: int  # of the trades that waited, by their id
    opened: list[Lot] = field(default_factory=list)
    closings: list[LotClosing] = field(default_factory=list)
    changed: dict[int, Lot] = field(default_factory=dict)
    booked: int = 0


@transaction.atomic
def _book_batch(after: int, blocked: set[Holding]) -> Batch | None:
    """Book up to 500 trades; None where nothing is due or somebody else is at it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        (alone,) = cursor.fetchone() or (False,)
    if not alone:
        return None
    dues = list(
        LotDue.objects.filter(pk__gt=after)
        .select_related("trade__buy_order", "trade__sell_order")
        .only(*READ)
        .order_by("id")[:BATCH]
    )
    if not dues:
        return None
    trades = [due.trade for due in dues]
    batch = Batch(_open_lots(trades), blocked, last=dues[-1].pk)
    before = _booked_before(trades)
    done = [due.pk for due in dues if _book(due.trade, batch, before)]
    Lot.objects.bulk_create(batch.opened)
    LotClosing.objects.bulk_create(batch.closings)
    Lot.objects.bulk_update(batch.changed.values(), ["remaining", "remaining_cost"])
    LotDue.objects.filter(pk__in=done).delete()
    batch.booked = len(done)
    return batch


def _open_lots(trades: Sequence[Trade]) -> dict[Holding, list[Lot]]:
    """Load the open lots of every seller, first in, first out."""
    sellers = {t.sell_order.customer_id for t in trades} - {None}
    lots = Lot.objects.filter(
        customer__in=sellers,
        instrument__in={t.instrument_id for t in trades},
        remaining__gt=0,
    ).order_by("acquired_at", "trade_id")
    found: dict[Holding, list[Lot]] = defaultdict(list)
    for lot in lots:
        found[lot.customer_id, lot.instrument_id].append(lot)
    return found


def _booked_before(trades: Sequence[Trade]) -> set[tuple[str, int]]:
    """Find the sides that have their entries already, should a trade be announced twice."""
    ids = [trade.pk for trade in trades]
    bought = Lot.objects.filter(trade__in=ids).values_list("trade_id", flat=True)
    sold = LotClosing.objects.filter(trade__in=ids).values_list("trade_id", flat=True)
    return {("buy", trade) for trade in bought} | {("sell", trade) for trade in sold}


def _book(trade: Trade, batch: Batch, before: set[tuple[str, int]]) -> bool:
    """Book both sides of a trade, or neither; say whether it was done."""
    buyer, seller = (
        (order.customer_id, trade.instrument_id) if order.customer_id else None
        for order in (trade.buy_order, trade.sell_order)
    )
    if {buyer, seller} & batch.blocked:
        return False
    try:
        if seller and ("sell", trade.pk) not in before:
            _close(trade, seller, batch)
    except rules.LotsMissing:
        logger.exception("trade %s sells more than its seller's lots have", trade.uid)
        batch.blocked |= {holding for holding in (buyer, seller) if holding}
        return False
    if buyer and ("buy", trade.pk) not in before:
        _open(trade, buyer, batch)
    return True


def _open(trade: Trade, buyer: Holding, batch: Batch) -> None:
    """Open a lot of what was bought; its cost includes the fee."""
    cost = trade.cost + trade.buy_fee
    lot = Lot(
        customer_id=buyer[0],
        instrument_id=buyer[1],
        trade=trade,
        acquired_at=trade.executed_at,
        quantity=trade.quantity,
        cost=cost,
        remaining=trade.quantity,
        remaining_cost=cost,
    )
    batch.opened.append(lot)
    insort(batch.lots[buyer], lot, key=lambda one: (one.acquired_at, one.trade_id))


def _close(trade: Trade, seller: Holding, batch: Batch) -> None:
    """Close the oldest lots by what was sold; the proceeds are less the fee.

    :raises portfolio.rules.LotsMissing: if the lots have less
    """
    lots = batch.lots[seller]
    parts = rules.close(
        [rules.Open(lot.remaining, lot.remaining_cost) for lot in lots],
        quantity=trade.quantity,
        proceeds=trade.cost - trade.sell_fee,
    )
    for lot, part in zip(lots, parts, strict=False):
        lot.remaining -= part.quantity
        lot.remaining_cost -= part.cost
        if lot.pk:
            batch.changed[lot.pk] = lot
        batch.closings.append(
            LotClosing(
                lot=lot,
                trade=trade,
                quantity=part.quantity,
                cost=part.cost,
                proceeds=part.proceeds,
                closed_at=trade.executed_at,
            )
        )
    del lots[: sum(1 for lot in lots[: len(parts)] if not lot.remaining)]
