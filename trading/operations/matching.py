"""The engine's side of the database: take commands, match them, write what came of it.

One process leads a shard. It holds an advisory lock and a connection of its own that never
reconnects; each batch first moves the shard's row on from the sequence and epoch it knows, so an
engine that was replaced while it slept changes nothing and ends. The database ends the session of a
leader that has said nothing for some seconds, so that a process that hangs cannot keep the lead. On
any failure the engine forgets everything and is made anew from what the last batch wrote.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

import market.operations
import market.queries
from common import realtime
from common.database import prepared, read
from common.errors import DomainError
from instruments.models import Instrument
from trading import engine, queries, rules
from trading.models import Command, Order, Shard
from trading.operations import log

logger = logging.getLogger(__name__)

BATCH = 500
LOCK_SPACE = 7_001  # of pg_advisory_lock, beside the shard's id
LOW_WATER_S = 15.0  # above the app's transaction timeout: no commit is later than this
FULL_SCAN_S = 60.0
SILENCE_S = 10.0  # a leader looks far more often; Redis may hold it up for 5
DEPTH = 1_000


class NotLeader(DomainError):
    """Another engine leads this shard."""


class Fenced(DomainError):
    """Another engine has taken this shard over."""


class Waiting(NamedTuple):
    """A command of the inbox; past `stale_us` of engine time it is refused unread."""

    id: int
    kind: str
    payload: str  # JSON
    order: int | None = None
    stale_us: int | None = None


class Engine:
    """The leader of one shard, for as long as its connection lives."""

    def __init__(self, shard_name: str, *, silence_s: float = SILENCE_S) -> None:
        """Take the lead and load the shard as its last batch left it.

        :param silence_s: how long this engine may say nothing before another may lead
        :raises NotLeader: if another engine holds the shard's lock
        """
        shard, _ = Shard.objects.get_or_create(name=shard_name)
        if not _try_lock(shard.pk):
            raise NotLeader
        self.shard_id = shard.pk
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE trading_shard SET epoch = epoch + 1 WHERE id = %s"
                " RETURNING epoch, sequence, time_us",
                [shard.pk],
            )
            row: tuple[int, int, int] = cursor.fetchone() or (0, 0, 0)
            self.epoch, self.sequence, time_us = row
            cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            (anchor_us,) = cursor.fetchone() or (0,)
        self._begun_us = time.monotonic_ns() // 1_000
        self._anchor_us, self._last_us = anchor_us, time_us
        self._read_instruments()
        self.core = engine.Engine(queries.persisted_state(shard.pk))
        with connection.cursor() as cursor:
            cursor.execute("SET idle_session_timeout = %s", [round(silence_s * 1000)])
        self._published: dict[str, str] = {}
        self._seen: deque[tuple[float, int]] = deque()
        self._low_water = 0
        self._next_full_scan = 0.0

    def run_batch(self, *, limit: int = BATCH) -> int:
        """Match what is in the inbox and write it; the caller looks again when it was full.

        After any exception this engine's memory is ahead of the database: make a new one.

        :param limit: how many commands at most
        :returns: how many commands were sequenced
        :raises Fenced: if another engine took over
        """
        with transaction.atomic():
            inbox = self._inbox(limit)
            if not inbox and not self._tick_due():
                return 0
            batch = log.Batch()
            before = self.sequence
            for waiting in inbox or [self._insert_tick()]:
                self.sequence += 1
                at = self._now_us()
                if waiting.stale_us is not None and waiting.stale_us < at:
                    self._refuse_unread(batch, waiting, at, queries.AGED_OUT)
                    continue
                outcome = self.core.apply(self.sequence, at, waiting.kind, waiting.payload)
                batch.add(waiting.id, self.sequence, at, outcome)
            if batch.instruments.keys() - self.instruments.keys():
                self._read_instruments()
            self._move_on(before)
            trades = log.write(batch, self.instruments)
            self._follow_multipliers(batch)
        self._announce(batch, trades)
        return len(batch.commands)

    def set_aside(self) -> int:
        """Reject the oldest command of the inbox unread, because its batch cannot be written.

        What it would have held is freed; for the books only time passes.

        :returns: the command's id
        :raises Fenced: if another engine took over
        """
        with transaction.atomic():
            [waiting] = self._inbox(1)
            before, batch = self.sequence, log.Batch()
            self.sequence += 1
            self._refuse_unread(batch, waiting, self._now_us(), queries.SET_ASIDE)
            self._move_on(before)
            trades = log.write(batch, self.instruments)
        self._announce(batch, trades)
        return waiting.id

    def _refuse_unread(self, batch: log.Batch, waiting: Waiting, at: int, reason: str) -> None:
        """Reject a command that the books are not shown: for them only time passes."""
        outcome = self.core.apply(self.sequence, at, "clock", {})
        outcome.result, outcome.reason = "rejected", reason
        batch.add(waiting.id, self.sequence, at, outcome)
        if waiting.kind == "place" and waiting.order is not None:
            batch.unread.append((waiting.order, self.sequence, at, reason))
        batch.releases += log.increases_of(waiting.kind, waiting.payload, self.sequence)

    def release(self) -> None:
        """Give the lead up: the next engine begins where the last batch ended."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, self.shard_id])

    def publish_all(self) -> None:
        """Publish every book whole and every market's state, as a starting engine does."""
        for instrument_id in self.instruments:
            self._publish_book(instrument_id)
        self._publish_states(self.core.shard.books)
        market.operations.keep_states(states=self._published)

    def tell_marks(self, *, now: datetime) -> int:
        """Put the reference prices that somebody waits for into the inbox, as one `mark`.

        What is stale or cannot be believed is not told: no order fires by it. The caller asks at
        most once a second.

        :returns: how many prices it carries
        """
        oldest = queries.market_rule(now).reference_max_age_s
        prices = {}
        for symbol, reference in market.queries.references(list(self.instruments.values())).items():
            instrument = self._by_symbol[symbol]
            ticks = round(reference.price / instrument.tick_size)
            fresh = reference.is_fresh(now=now, max_age_s=oldest)
            if fresh and self._believable(instrument.pk, ticks):
                prices[instrument.pk] = ticks
        wanted = self.core.marks_wanted(prices)
        if wanted:
            payload = {"prices": {str(id_): ticks for id_, ticks in wanted.items()}}
            stale_at = log.moment(self._now_us()) + timedelta(seconds=oldest)
            Command.objects.create(
                shard_id=self.shard_id, kind="mark", payload=payload, stale_at=stale_at
            )
        return len(wanted)

    def _believable(self, instrument_id: int, ticks: int) -> bool:
        """Tell whether a price can be true beside what the book last saw."""
        book = self.core.shard.books.get(instrument_id)
        return book is not None and rules.is_believable(ticks, book.state.mark or book.state.last)

    def _follow_multipliers(self, batch: log.Batch) -> None:
        """Count by the multipliers that the batch has brought into force."""
        for id_, state in batch.instruments.items():
            self.instruments[id_].multiplier = log.multiplier_of(state)

    def _read_instruments(self) -> None:
        self.instruments = {i.pk: i for i in Instrument.objects.all()}
        self._by_symbol = {i.symbol: i for i in self.instruments.values()}

    def _inbox(self, limit: int) -> list[Waiting]:
        """Lock waiting commands above the low-water mark; look for all of them once a minute.

        What a transaction is withdrawing just now is skipped: the engine waits for nobody, and
        finds it at a later look where that transaction fails.
        """
        now = time.monotonic()
        while self._seen and self._seen[0][0] < now - LOW_WATER_S:
            self._low_water = self._seen.popleft()[1]
        if now >= self._next_full_scan:
            self._low_water, self._next_full_scan = 0, now + FULL_SCAN_S
            self._seen.clear()
        rows: list[Any] = prepared(
            """
            SELECT id, kind, payload::text, order_id,
                   (extract(epoch FROM stale_at) * 1000000)::bigint
            FROM trading_command
            WHERE shard_id = %s AND sequence IS NULL AND result = '' AND id > %s
            ORDER BY id LIMIT %s
            FOR NO KEY UPDATE SKIP LOCKED
            """,
            [self.shard_id, self._low_water, limit],
        )
        if rows:
            self._seen.append((now, rows[-1][0]))
        return [Waiting(*row) for row in rows]

    def _now_us(self) -> int:
        """Give the engine's time: the database's at the start, and steady since.

        Where that clock was set back since the last batch, time runs at half speed until both
        agree: it never goes back, and does not stay ahead for ever.
        """
        passed = time.monotonic_ns() // 1_000 - self._begun_us
        return max(self._anchor_us + passed, self._last_us + passed // 2)

    def _tick_due(self) -> bool:
        due = self.core.next_due()
        return due is not None and due <= self._now_us()

    def _insert_tick(self) -> Waiting:
        """Log a `clock`: when nobody else moves time on, expiry still happens on time."""
        tick = Command.objects.create(shard_id=self.shard_id, kind="clock", payload={})
        return Waiting(tick.pk, tick.kind, "{}")

    def _move_on(self, before: int) -> None:
        shard = self.core.shard
        moved = prepared(
            "UPDATE trading_shard SET sequence = %s, priority = %s, time_us = %s,"
            " quotes_until_us = %s"
            " WHERE id = %s AND epoch = %s AND sequence = %s RETURNING id",
            [
                *(self.sequence, shard.priority, shard.at, shard.quotes_until),
                *(self.shard_id, self.epoch, before),
            ],
        )
        if not moved:
            raise Fenced

    def _announce(self, batch: log.Batch, trades: Sequence[tuple[int, str]]) -> None:
        """Tell the world, now that it is true; the settler first, who has most to do."""
        if batch.fills or batch.releases:
            realtime.run_soon("trading.tasks.settle")
        for instrument_id in batch.books:
            self._publish_book(instrument_id)
        simulated = self._simulated(batch.fills)
        for (sequence, at, fill), (_, uid) in zip(batch.fills, trades, strict=True):
            instrument = self.instruments[fill.instrument]
            scale = _scale(instrument, fill.multiplier_e18)
            realtime.publish_market(
                {
                    "kind": "trade",
                    "symbol": instrument.symbol,
                    "epoch": self.epoch,
                    "sequence": sequence,
                    "trade_id": uid,
                    "side": "sell" if fill.maker_side == "buy" else "buy",
                    "price": f"{scale.price(fill.price):f}",
                    "quantity": f"{scale.shares(fill.quantity):f}",
                    "time": log.moment(at).isoformat(),
                    "simulated": not simulated.isdisjoint((fill.buy, fill.sell)),
                }
            )
        self._publish_states(batch.instruments)
        self._send_executions(batch.announced)

    def _simulated(self, fills: Sequence[tuple[int, int, engine.Fill]]) -> set[int]:
        """Give the orders of simulated customers, of whom there are none outside a demo."""
        if not settings.DEMO or not fills:
            return set()
        return queries.simulated_among({id_ for *_, fill in fills for id_ in (fill.buy, fill.sell)})

    def _send_executions(self, order_ids: Sequence[int]) -> None:
        """Send customers their orders as they are now, numbered without gaps."""
        if not order_ids:
            return
        which = "WHERE id = ANY (%s) AND execution > 0 ORDER BY customer_id, execution"
        events = []
        for order in read(Order, which, [list(order_ids)]):
            order.instrument = self.instruments[order.instrument_id]
            told = queries.describe_order(order)
            events.append((order.customer_id or 0, "executions", told))
        realtime.send_private(events)

    def _publish_states(self, instrument_ids: Iterable[int]) -> None:
        """Publish the states of markets that differ from what was published last."""
        for id_ in instrument_ids:
            symbol, state = self.instruments[id_].symbol, self.core.shard.books[id_].state
            word = "paused" if state.paused_until else state.state
            if self._published.get(symbol) != word:
                market.operations.publish_state(symbol=symbol, state=word)
                self._published[symbol] = word

    def _publish_book(self, instrument_id: int) -> None:
        if instrument_id not in self.core.shard.books:
            return
        instrument = self.instruments[instrument_id]
        scale = queries.scale_of(instrument)
        view = self.core.book(instrument_id, DEPTH)
        realtime.publish_market(
            {
                "kind": "book",
                "symbol": instrument.symbol,
                "epoch": self.epoch,
                "sequence": self.sequence,
                "time": log.moment(self._now_us()).isoformat(),
                "bids": [[f"{scale.price(p):f}", f"{scale.shares(q):f}"] for p, q in view.bids],
                "asks": [[f"{scale.price(p):f}", f"{scale.shares(q):f}"] for p, q in view.asks],
            },
            keep_as=f"market:book:{instrument.symbol}",
        )


def _try_lock(shard_id: int) -> bool:
    """Take the shard's lock for as long as this connection lives."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, shard_id])
        (locked,) = cursor.fetchone() or (False,)
    return bool(locked)


def _scale(instrument: Instrument, multiplier_e18: int) -> rules.Scale:
    return rules.Scale.of(instrument.tick_size, Decimal(multiplier_e18).scaleb(-18))
