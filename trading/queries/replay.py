"""What the engine would remember: as its last batch left it, and as the command log says.

The log is complete: the same commands from the same state make the same trades and books. So a
replay that differs from what is stored means that one of the two was changed, or that the engine
is not the one that ran: it is promised from a snapshot, within one version.
"""

import zlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from common.errors import DomainError
from trading import engine
from trading.engine import Fill, OrderState
from trading.models import Book, Command, Order, Participant, Shard, Snapshot, Trade

# Why a command was rejected unread: its batch could not be written, or it had waited too long.
SET_ASIDE = "set_aside"
AGED_OUT = "aged_out"


Record = TypeVar("Record")


class LogPurged(DomainError):
    """The commands of that time are no longer kept; begin at a later snapshot."""


def latest_snapshot(
    shard_id: int, *, until: datetime | None = None, sequence: int | None = None
) -> Snapshot | None:
    """Give a shard's last snapshot, or the last until a time or a sequence."""
    snapshots = Snapshot.objects.filter(shard=shard_id).order_by("-sequence", "-taken_at")
    if until is not None:
        snapshots = snapshots.filter(taken_at__lte=until)
    if sequence is not None:
        snapshots = snapshots.filter(sequence__lte=sequence)
    return snapshots.first()


def state_of(snapshot: Snapshot) -> engine.ShardState:
    """Read what a snapshot kept."""
    return msgspec.json.decode(zlib.decompress(snapshot.state), type=engine.ShardState)


def persisted_state(shard_id: int) -> engine.ShardState:
    """Read what the last batch left: books, live orders, dead-man switches, counters."""
    shard = Shard.objects.get(pk=shard_id)
    books = Book.objects.filter(shard=shard).exclude(engine_state={}).order_by("instrument_id")
    deadlines = Participant.objects.exclude(cancel_all_at_us=None).order_by("customer_id")
    orders = (
        Order.objects.filter(
            instrument__book__shard=shard, status__in=Order.LIVE, venue=Order.Venue.BOOK
        )
        .exclude(engine_state={})
        .order_by("id")
    )
    return engine.ShardState(
        sequence=shard.sequence,
        time=shard.time_us,
        priority=shard.priority,
        quotes_until=shard.quotes_until_us,
        instruments=_read(books, engine.InstrumentState),
        orders=_read(orders, OrderState),
        participants=[
            engine.ParticipantState(owner, deadline)
            for owner, deadline in deadlines.values_list("customer_id", "cancel_all_at_us")
        ],
    )


def _read(rows: QuerySet[Any], record: type[Record]) -> list[Record]:
    """Read the engine's records, their JSON as it comes: a restart waits for this."""
    decoder = msgspec.json.Decoder(record)
    texts = rows.values_list(Cast("engine_state", TextField()), flat=True)
    return [decoder.decode(text) for text in texts]


class Replay:
    """A shard's log run again in memory, beside what is stored.

    Read it in one transaction of REPEATABLE READ, while the engine runs or not.
    """

    def __init__(self, shard: Shard, snapshot: Snapshot | None = None) -> None:
        """Begin at a snapshot, or with an empty exchange.

        :raises LogPurged: if commands after that are gone
        """
        self.shard = shard
        self.snapshot = snapshot
        self.since = snapshot.sequence if snapshot else 0
        if self.since < shard.purged_sequence:
            raise LogPurged
        self.core = engine.Engine(state_of(snapshot) if snapshot else engine.ShardState())
        self.begun = self.core.state_hash()
        self.commands = 0
        self.fills: list[Fill] = []
        self.orders: dict[int, OrderState] = {}

    def run(self) -> None:
        """Apply every sequenced command since; one rejected unread only lets time pass."""
        log = Command.objects.filter(shard=self.shard, sequence__gt=self.since).order_by("sequence")
        columns = ("sequence", "engine_time_us", "kind", "payload", "reason")
        for sequence, at, kind, payload, reason in log.values_list(*columns).iterator():
            unread = reason in {SET_ASIDE, AGED_OUT}
            outcome = self.core.apply(
                sequence or 0, at or 0, "clock" if unread else kind, {} if unread else payload
            )
            self.commands += 1
            self.fills += outcome.trades
            self.orders |= {order.id: order for order in outcome.orders}

    def differences(self) -> Iterator[str]:
        """Say where replay and store differ: trades, orders, books with their queues."""
        if self.snapshot is not None and self.snapshot.state_hash != self.begun:
            yield f"the snapshot of {self.since} is not what it was: {self.begun}"
        yield from self._trade_differences()
        yield from self._order_differences()
        stored = engine.Engine(persisted_state(self.shard.pk)).state_hash()
        if stored != self.core.state_hash():
            yield f"the books differ: stored {stored}, replayed {self.core.state_hash()}"

    def _trade_differences(self) -> Iterator[str]:
        trades = Trade.objects.filter(
            venue=Order.Venue.BOOK, instrument__book__shard=self.shard, sequence__gt=self.since
        )
        columns = ("id", "buy_order_id", "sell_order_id", "quantity", "cost", "buy_fee", "sell_fee")
        stored = list(trades.order_by("id").values_list(*columns, "multiplier"))
        if len(stored) != len(self.fills):
            yield f"{len(stored)} trades are stored and {len(self.fills)} replayed"
        for row, fill in zip(stored, self.fills, strict=False):
            multiplier = Decimal(fill.multiplier_e18).scaleb(-18)
            again = (fill.buy, fill.sell, fill.quantity, fill.cost, fill.buy_fee, fill.sell_fee)
            if row[1:] != (*again, multiplier):
                yield f"trade {row[0]} is stored as {row[1:]} and replayed as {again}"

    def _order_differences(self) -> Iterator[str]:
        stored = Order.objects.filter(pk__in=self.orders).values_list("id", "engine_state")
        states = {id_: state for id_, state in stored.iterator() if state}
        for id_, replayed in self.orders.items():
            if states.get(id_) != msgspec.to_builtins(replayed):
                yield f"order {id_} is stored as {states.get(id_)} and replayed as {replayed}"
