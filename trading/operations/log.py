"""What one batch of the engine changed, and how it is written: a handful of statements."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from common import database
from common.money import EXACT
from instruments.models import Instrument
from instruments.operations import set_multipliers
from trading import engine
from trading.engine import Fill, OrderState, Outcome
from trading.engine.commands import unreadable
from trading.models import LIMITED, Order


@dataclass(slots=True)
class Batch:
    """What a run of commands changed; of an order that changed twice, its last state."""

    commands: list[tuple[int, int, int, str, str]] = field(default_factory=list)
    fills: list[tuple[int, int, Fill]] = field(default_factory=list)  # sequence, time, fill
    releases: list[tuple[int, int, int]] = field(default_factory=list)
    orders: dict[int, OrderState] = field(default_factory=dict)
    instruments: dict[int, engine.InstrumentState] = field(default_factory=dict)
    deadlines: dict[int, int | None] = field(default_factory=dict)  # by customer
    books: set[int] = field(default_factory=set)
    unread: list[tuple[int, int, int, str]] = field(default_factory=list)

    @property
    def owned(self) -> list[OrderState]:
        """The orders of customers."""
        return [state for state in self.orders.values() if state.owner > 0]

    @property
    def announced(self) -> list[int]:
        """The ids of the orders whose customers are told."""
        return [state.id for state in self.owned] + [order for order, *_ in self.unread]

    def add(self, command: int, sequence: int, at: int, outcome: Outcome) -> None:
        """Take in what one command did."""
        self.commands.append((command, sequence, at, outcome.result, outcome.reason or ""))
        self.fills += [(sequence, at, fill) for fill in outcome.trades]
        self.releases += [(sequence, freed.order, freed.amount) for freed in outcome.releases]
        self.orders |= {order.id: order for order in outcome.orders}
        self.instruments |= {state.id: state for state in outcome.instruments}
        self.deadlines |= {one.owner: one.deadline for one in outcome.participants}
        self.books |= outcome.books


def write(batch: Batch, instruments: dict[int, Instrument]) -> list[tuple[int, str]]:
    """Write a batch into the caller's transaction; its executions are numbered on.

    :param instruments: by id
    :returns: (id, uid) of its trades, in order
    """
    _write_commands(batch.commands)
    trades = _write_trades(batch.fills, instruments)
    _write_releases(batch.releases)
    _write_orders(batch.orders.values(), _number_executions(batch), instruments)
    _write_books(batch, instruments)
    _write_multipliers(batch, instruments)
    _write_deadlines(batch.deadlines)
    _reject_unread(batch.unread)
    return trades


def end_unread(ends: Sequence[tuple[int, str, str, datetime]]) -> dict[int, int]:
    """End pending orders that no engine was shown, and number the executions.

    :param ends: order, status, reason, and when
    :returns: the budget that each order had, by its id; the caller gives it back
    """
    if not ends:
        return {}
    ended = database.prepared(
        """
        WITH ending AS (
            SELECT o.id, o.customer_id, o.budget, u.status, u.reason, u.at,
                   row_number() OVER (PARTITION BY o.customer_id ORDER BY u.place) AS number,
                   count(*) OVER (PARTITION BY o.customer_id) AS count
            FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[])
                WITH ORDINALITY AS u(id, status, reason, at, place)
            JOIN trading_order o ON o.id = u.id
            WHERE o.status = 'pending'
        ), counted AS (
            INSERT INTO trading_participant AS p (customer_id, executions)
            SELECT customer_id, count(*) FROM ending
            WHERE customer_id IS NOT NULL GROUP BY customer_id ORDER BY customer_id
            ON CONFLICT (customer_id) DO UPDATE SET executions = p.executions + excluded.executions
            RETURNING customer_id, executions
        )
        UPDATE trading_order o
        SET status = e.status, reason = e.reason, closed_at = e.at, budget = 0,
            execution = coalesce(c.executions - e.count + e.number, 0)
        FROM ending e LEFT JOIN counted c ON c.customer_id = e.customer_id
        WHERE o.id = e.id
        RETURNING o.id, e.budget
        """,
        _columns(ends),
    )
    return dict(ended)


def _reject_unread(rows: Sequence[tuple[int, int, int, str]]) -> None:
    """Reject orders that the books were not shown: (order, sequence, time, reason)."""
    ends = [(order, "rejected", reason, moment(at)) for order, _, at, reason in rows]
    budgets = end_unread(ends)
    freed = ((sequence, order, budgets.get(order, 0)) for order, sequence, _, _ in rows)
    _write_releases([row for row in freed if row[2] > 0])


def increases_of(kind: str, payload: str, sequence: int) -> list[tuple[int, int, int]]:
    """List what a command added to holds, as releases: (sequence, order, amount).

    Where its payload names orders that do not exist, nothing was added.
    """
    named = {freed.order: freed.amount for freed in unreadable(kind, payload).increases}
    known = Order.objects.filter(pk__in=named).order_by("pk").values_list("pk", flat=True)
    return [(sequence, order, named[order]) for order in known]


def _write_commands(rows: Sequence[tuple[int, int, int, str, str]]) -> None:
    database.prepared(
        """
        UPDATE trading_command c
        SET sequence = u.sequence, engine_time_us = u.at, result = u.result, reason = u.reason
        FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])
            AS u(id, sequence, at, result, reason)
        WHERE c.id = u.id
        """,
        _columns(rows),
    )


def _write_trades(
    fills: Sequence[tuple[int, int, Fill]], instruments: dict[int, Instrument]
) -> list[tuple[int, str]]:
    if not fills:
        return []
    rows = [
        (
            sequence,
            moment(at),
            fill.instrument,
            fill.buy,
            fill.sell,
            fill.maker_side,
            instruments[fill.instrument].tick_size * fill.price,
            fill.quantity,
            Decimal(fill.multiplier_e18).scaleb(-18),
            fill.cost,
            fill.buy_fee,
            fill.sell_fee,
        )
        for sequence, at, fill in fills
    ]
    inserted = database.prepared(
        """
        INSERT INTO trading_trade (uid, venue, held_back, sequence, executed_at,
            instrument_id, buy_order_id, sell_order_id, maker_side, price, quantity,
            multiplier, cost, buy_fee, sell_fee)
        SELECT uuidv7(), 'book', '', f.sequence, f.executed_at, f.instrument_id, f.buy, f.sell,
            f.maker_side, f.price, f.quantity, f.multiplier, f.cost, f.buy_fee, f.sell_fee
        FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[],
            %s::text[], %s::numeric[], %s::bigint[], %s::numeric[], %s::bigint[],
            %s::bigint[], %s::bigint[]) WITH ORDINALITY
            AS f(sequence, executed_at, instrument_id, buy, sell, maker_side, price, quantity,
                 multiplier, cost, buy_fee, sell_fee, place)
        ORDER BY place
        RETURNING id, uid::text
        """,
        _columns(rows),
    )
    return sorted((id_, uid) for id_, uid in inserted)


def _write_releases(rows: Sequence[tuple[int, int, int]]) -> None:
    if rows:
        database.prepared(
            """
            INSERT INTO trading_release (sequence, order_id, amount)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
            """,
            _columns(rows),
        )


def _number_executions(batch: Batch) -> dict[int, int]:
    """Count on, customer by customer and without gaps: each order here is one execution.

    :returns: the number of each order of a customer
    """
    owned = batch.owned
    counts = Counter(state.owner for state in owned)
    if not counts:
        return {}
    counted = database.prepared(
        """
        INSERT INTO trading_participant AS p (customer_id, executions)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ORDER BY 1
        ON CONFLICT (customer_id) DO UPDATE SET executions = p.executions + excluded.executions
        RETURNING customer_id, executions
        """,
        _columns(counts.items()),
    )
    last: dict[int, int] = dict(counted)
    numbers = {}
    for state in reversed(owned):
        numbers[state.id] = last[state.owner]
        last[state.owner] -= 1
    return numbers


def _write_orders(
    states: Iterable[OrderState], executions: dict[int, int], instruments: dict[int, Instrument]
) -> None:
    rows = [
        (
            state.id,
            executions.get(state.id, 0),
            state.status,
            state.reason or "",
            state.filled,
            state.cost,
            state.fee,
            state.budget,
            state.quantity,
            *_prices(state, instruments),
            moment(state.closed_at) if state.closed_at else None,
            msgspec.json.encode(state).decode(),
        )
        for state in states
    ]
    if rows:
        database.prepared(
            """
            UPDATE trading_order o
            SET execution = u.execution, status = u.status, reason = u.reason,
                filled = u.filled, cost = u.cost, fee = u.fee, budget = u.budget,
                quantity = coalesce(u.quantity, o.quantity),
                limit_price = coalesce(u.limit_price, o.limit_price),
                worst_price = coalesce(u.worst_price, o.worst_price),
                trigger_price = coalesce(u.trigger_price, o.trigger_price),
                closed_at = u.closed_at, engine_state = u.state::jsonb
            FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[],
                %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::numeric[],
                %s::numeric[], %s::numeric[], %s::timestamptz[], %s::text[])
                AS u(id, execution, status, reason, filled, cost, fee, budget, quantity,
                     limit_price, worst_price, trigger_price, closed_at, state)
            WHERE o.id = u.id
            """,
            _columns(rows),
        )


def _prices(
    state: OrderState, instruments: dict[int, Instrument]
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Give the limit, the worst price and the trigger of an order as they are now."""
    if state.price is None:
        return None, None, None
    tick = instruments[state.instrument].tick_size
    worst = tick * state.price
    found = state.type == "trailing-stop-limit" and state.triggered
    trigger = None if state.trigger_price is None else tick * state.trigger_price
    return (worst if state.type in LIMITED or found else None), worst, trigger


def _write_books(batch: Batch, instruments: dict[int, Instrument]) -> None:
    """Keep each book's state, and the price and time of its last trade."""
    last = {fill.instrument: (fill.price, at) for _, at, fill in batch.fills}
    rows = [
        (
            id_,
            msgspec.json.encode(batch.instruments[id_]).decode()
            if id_ in batch.instruments
            else None,
            batch.instruments[id_].state if id_ in batch.instruments else None,
            instruments[id_].tick_size * last[id_][0] if id_ in last else None,
            moment(last[id_][1]) if id_ in last else None,
        )
        for id_ in sorted(batch.instruments.keys() | last.keys())
    ]
    if rows:
        database.prepared(
            """
            UPDATE trading_book b
            SET engine_state = coalesce(u.engine_state::jsonb, b.engine_state),
                state = coalesce(u.state, b.state),
                last_price = coalesce(u.last_price, b.last_price),
                last_trade_at = coalesce(u.last_trade_at, b.last_trade_at)
            FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::numeric[],
                %s::timestamptz[])
                AS u(id, engine_state, state, last_price, last_trade_at)
            WHERE b.instrument_id = u.id
            """,
            _columns(rows),
        )


def _write_multipliers(batch: Batch, instruments: dict[int, Instrument]) -> None:
    """Give each instrument the multiplier that its book has now."""
    now = {id_: multiplier_of(state) for id_, state in batch.instruments.items()}
    changed = {id_: m for id_, m in now.items() if instruments[id_].multiplier != m}
    if changed:
        set_multipliers(multipliers=changed)


def multiplier_of(state: engine.InstrumentState) -> Decimal:
    """Give the multiplier that the engine counts in 10^-18."""
    return Decimal(state.multiplier_e18).scaleb(-18, EXACT)


def _write_deadlines(deadlines: dict[int, int | None]) -> None:
    """Keep when each dead-man switch cancels a customer's orders, or that it no longer does."""
    if deadlines:
        database.prepared(
            """
            INSERT INTO trading_participant (customer_id, executions, cancel_all_at_us)
            SELECT customer_id, 0, deadline
            FROM unnest(%s::bigint[], %s::bigint[]) AS d(customer_id, deadline)
            ORDER BY customer_id
            ON CONFLICT (customer_id) DO UPDATE SET cancel_all_at_us = excluded.cancel_all_at_us
            """,
            _columns(deadlines.items()),
        )


def moment(microseconds: int) -> datetime:
    """Give the time of the engine's clock as a datetime."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
