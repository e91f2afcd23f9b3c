"""What happens by itself when its time has come.

Quotes that nobody confirmed are withdrawn, orders expire, dead-man switches, pauses, sessions.
"""

from trading.engine.book import Book
from trading.engine.commands import CancelAllAfter
from trading.engine.shard import DEAD_MAN, EXPIRE, PAUSE, RESUME, TURN, WITHDRAW, Shard, next_turn
from trading.engine.state import InstrumentState, Outcome, ParticipantState
from trading.engine.triggers import fire, look_again

PPM = 1_000_000


def cancel_all_after(shard: Shard, command: CancelAllAfter) -> None:
    """Set, renew or disarm an owner's dead-man switch."""
    deadline = shard.at + command.timeout_us if command.timeout_us else None
    set_deadline(shard, command.owner, deadline)


def set_deadline(shard: Shard, owner: int, deadline: int | None) -> None:
    """Write an owner's dead-man deadline."""
    shard.deadlines.pop(owner, None)
    if deadline is not None:
        shard.deadlines[owner] = deadline
        shard.schedule(deadline, DEAD_MAN, owner)
    shard.participants[owner] = ParticipantState(owner, deadline)


def keep_quotes(shard: Shard, until: int) -> None:
    """Let all standing quotes stand until then."""
    shard.quotes_until = until
    shard.schedule(until, WITHDRAW, 0)


def withdraw_quotes(shard: Shard) -> None:
    """Take every level of every standing quote out of its book, lowest id first."""
    shard.quotes_until = None
    for id_ in sorted(shard.quotes):
        shard.clear_quote(shard.orders[id_])


def pass_time(shard: Shard) -> None:
    """Let everything happen that is due by now, earliest first."""
    while (due := shard.next_due()) is not None and due[0] <= shard.at:
        at, kind, id_ = due
        if kind == WITHDRAW:
            withdraw_quotes(shard)
        elif kind == EXPIRE:
            shard.cancel(shard.orders[id_], "expired", "expired")
        elif kind == DEAD_MAN:
            set_deadline(shard, id_, None)
            shard.cancel_owned(id_, None, "cancel_all_after")
        elif kind == RESUME:
            resume(shard, shard.books[id_])
        elif kind == PAUSE:
            pause(shard, shard.books[id_], at)
        elif kind == TURN:
            turn(shard, shard.books[id_])
        fire(shard)


def conclude(shard: Shard, reason: str | None) -> Outcome:
    """Let the prices of a command fire what waits for them, and return what came of it all."""
    if shard.moves:
        fire(shard)
    if shard.instruments:
        watch_bands(shard)
    return shard.outcome(reason)


def pause(shard: Shard, book: Book, at: int) -> None:
    """Stop trading in an instrument whose trades have left the band for too long."""
    state = book.state
    state.band_since = None
    state.paused_until = at + state.pause_us
    shard.schedule(state.paused_until, RESUME, state.id)
    book.reopen()
    shard.instruments[state.id] = state


def resume(shard: Shard, book: Book) -> None:
    """Let trading go on after a pause."""
    book.state.paused_until = None
    reopen(shard, book)


def turn(shard: Shard, book: Book) -> None:
    """Open an instrument's session, or close it and wait for the next; its orders rest."""
    state = book.state
    state.closed = not state.closed
    if state.closed:
        state.hours = (state.hours or [])[1:]
    schedule_turn(shard, state)
    reopen(shard, book)


def schedule_turn(shard: Shard, state: InstrumentState) -> None:
    """Schedule when an instrument's session opens or closes next."""
    at = next_turn(state)
    if at is not None:
        shard.schedule(at, TURN, state.id)


def reopen(shard: Shard, book: Book) -> None:
    """Let trading begin where nothing restricts it any more, and look at its prices then."""
    was_open = book.open
    book.reopen()
    shard.instruments[book.state.id] = book.state
    if book.open and not was_open:
        look_again(shard, book)


def watch_bands(shard: Shard) -> None:
    """Start a band's clock where a trade of this command left it, stop it where prices are back."""
    for state in shard.instruments.values():
        if state.paused_until is not None or (state.band_ppm is None and state.band_since is None):
            continue
        if not is_outside(state, state.mark):
            state.band_since = None
        elif state.band_since is None and any(f.instrument == state.id for f in shard.trades):
            state.band_since = shard.at
            shard.schedule(shard.at + state.band_after_us, PAUSE, state.id)


def is_outside(state: InstrumentState, mark: int | None) -> bool:
    """Tell whether the last trade was farther from a reference price than the band allows."""
    if state.band_ppm is None or state.last is None or mark is None:
        return False
    return abs(state.last - mark) * PPM > state.band_ppm * mark
