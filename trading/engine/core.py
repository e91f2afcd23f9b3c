"""The engine: commands in, outcomes out, and nothing else ever changes a book."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from trading.engine import amend, deadlines, instruments, orders, plain, quotes
from trading.engine.book import Book, Entry, QuoteLevel
from trading.engine.commands import (
    Amend,
    Cancel,
    CancelAll,
    CancelAllAfter,
    Clock,
    Command,
    Confirm,
    Mark,
    Quote,
    SetBand,
    SetHours,
    SetMultiplier,
    SetState,
    Unreadable,
    read,
)
from trading.engine.shard import DEAD_MAN, PAUSE, RESUME, Refused, Shard
from trading.engine.state import (
    TRIGGERED,
    BookView,
    InstrumentState,
    OrderState,
    Outcome,
    ParticipantState,
    ShardState,
)

Handler = Callable[[Shard, Any], str | None]


def clock(shard: Shard, command: Clock) -> None:
    """Let time pass: what was due has happened before any command."""


HANDLERS: dict[type[Command], Handler] = {
    OrderState: orders.place,
    Cancel: orders.cancel,
    CancelAll: orders.cancel_all,
    CancelAllAfter: deadlines.cancel_all_after,
    Amend: amend.amend,
    Quote: quotes.quote,
    Confirm: quotes.confirm,
    InstrumentState: instruments.list_instrument,
    SetState: instruments.set_state,
    Mark: instruments.mark,
    SetBand: instruments.set_band,
    SetHours: instruments.set_hours,
    SetMultiplier: instruments.set_multiplier,
    Clock: clock,
    Unreadable: orders.reject,
}

PLAIN: dict[type[Command], Callable[[Shard, Any], Outcome | None]] = {
    OrderState: plain.place,
    Cancel: plain.cancel,
}


class Engine:
    """The order books of one shard, a pure function of the commands applied to them."""

    def __init__(self, state: ShardState) -> None:
        self.shard = load(state)

    def apply(self, sequence: int, at: int, kind: str, payload: dict[str, Any] | str) -> Outcome:
        """Carry out one command at a time in microseconds since the epoch.

        The payload may be its JSON. What fell due by then happens first. A command that makes no
        sense, or may not be carried out, is rejected with a reason and changes nothing else.

        :raises ValueError: if the sequence does not grow or the time falls; nothing has changed
        """
        return self.execute(sequence, at, read(kind, payload))

    def execute(self, sequence: int, at: int, command: Command) -> Outcome:
        """Carry out a command that has been read; it is the engine's from here on.

        :raises ValueError: if the sequence does not grow or the time falls; nothing has changed
        """
        shard = self.shard
        if sequence <= shard.sequence or at < shard.at:
            past = f"{shard.sequence} at {shard.at}"
            raise ValueError(f"command {sequence} at {at} does not come after {past}")
        shard.sequence = sequence
        shard.at = at
        if shard.due and shard.due[0][0] <= at:
            deadlines.pass_time(shard)
        elif (plainly := PLAIN.get(type(command))) is not None:
            outcome = plainly(shard, command)
            if outcome is not None:
                return outcome
        try:
            reason = HANDLERS[type(command)](shard, command)
        except Refused as refused:
            reason = str(refused)
        return deadlines.conclude(shard, reason)

    def next_due(self) -> int | None:
        """Return when something happens by itself next, in microseconds since the epoch."""
        due = self.shard.next_due()
        return due[0] if due else None

    def marks_wanted(self, prices: dict[int, int]) -> dict[int, int]:
        """Choose from reference prices in ticks those that a `mark` should carry."""
        return instruments.marks_wanted(self.shard, prices)

    def book(self, instrument: int, depth: int) -> BookView:
        """Return an instrument's visible book, at most `depth` prices a side.

        :raises KeyError: if the instrument is not listed
        """
        return self.shard.books[instrument].view(depth)

    def snapshot(self) -> ShardState:
        """Return all there is to remember, as copies, in a canonical order."""
        shard = self.shard
        return ShardState(
            shard.sequence,
            shard.at,
            shard.priority,
            shard.quotes_until,
            [shard.books[id_].state.__copy__() for id_ in sorted(shard.books)],
            [shard.copy(shard.orders[id_]) for id_ in sorted(shard.orders)],
            [ParticipantState(owner, at) for owner, at in sorted(shard.deadlines.items())],
        )

    def state_hash(self) -> str:
        """Return the SHA-256 of the snapshot; equal exactly where every queue position is."""
        return sha256(msgspec.json.encode(self.snapshot())).hexdigest()


def load(state: ShardState) -> Shard:
    """Build a shard's memory; every order gets back its place in the queue."""
    shard = Shard()
    shard.sequence, shard.at, shard.priority = state.sequence, state.time, state.priority
    for instrument in state.instruments:
        shard.books[instrument.id] = Book(instrument.__copy__())
        schedule_changes(shard, instrument)
    schedule_withdrawal(shard, state)
    for participant in state.participants:
        if participant.deadline is not None:
            shard.deadlines[participant.owner] = participant.deadline
            shard.schedule(participant.deadline, DEAD_MAN, participant.owner)
    waiting: list[tuple[int, Book, Entry]] = []
    for order in state.orders:
        book = shard.books[order.instrument]
        waiting += [(entry.priority, book, entry) for entry in entries(shard, order.__copy__())]
    for _, book, entry in sorted(waiting, key=lambda place: place[0]):
        order = entry.order if isinstance(entry, QuoteLevel) else entry
        if order.type in TRIGGERED and not order.triggered:
            book.watch(order).add(order)
            continue
        ladder = book.bids if order.side == "buy" else book.asks
        visible = entry.remaining if entry.displayed is None else entry.displayed
        ladder.add(entry, entry.price or 0, visible or 0)
    return shard


def schedule_withdrawal(shard: Shard, state: ShardState) -> None:
    """Schedule when the loaded quotes are withdrawn; at once, where they know of no such time."""
    until = state.quotes_until
    if until is None and any(order.levels for order in state.orders):
        until = state.time  # an engine of before has left them
    if until is not None:
        deadlines.keep_quotes(shard, until)


def schedule_changes(shard: Shard, state: InstrumentState) -> None:
    """Schedule when a loaded instrument's pause begins or ends, and its session."""
    deadlines.schedule_turn(shard, state)
    if state.paused_until is not None:
        shard.schedule(state.paused_until, RESUME, state.id)
    if state.band_since is not None:
        shard.schedule(state.band_since + state.band_after_us, PAUSE, state.id)


def entries(shard: Shard, order: OrderState) -> list[Entry]:
    """Admit a loaded order and return what of it waits in the book."""
    if order.type == "quote":
        levels = [QuoteLevel(order, *level) for level in order.levels or []]
        order.levels = None
        shard.quotes[order.id] = levels
        shard.admit(order)
        return list(levels)
    shard.admit(order)
    return [order] if order.priority else []
