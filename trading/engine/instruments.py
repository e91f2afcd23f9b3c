"""The commands about instruments: listing, market state, sessions, marks, bands, multiplier."""

from itertools import pairwise

from trading.engine.book import Book
from trading.engine.commands import Mark, SetBand, SetHours, SetMultiplier, SetState
from trading.engine.deadlines import PPM, is_outside, reopen, schedule_turn
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST, BIGGEST_MULTIPLIER_E18, InstrumentState
from trading.engine.triggers import look

CLOSE_ENOUGH = 10  # a band is told a price again when it has moved by this part of its width


def list_instrument(shard: Shard, listed: InstrumentState) -> None:
    """Open an empty book; the same listing again changes nothing, another one is refused."""
    listed.last = listed.mark = listed.mark_at = None
    listed.band_since = listed.paused_until = listed.hours = None
    listed.closed = False
    if listed.multiplier_e18 > BIGGEST_MULTIPLIER_E18:
        raise Refused("poisonous")
    book = shard.books.get(listed.id)
    if book is None:
        book = shard.books[listed.id] = Book(listed)
        shard.shown.add(listed.id)
    elif scale(book.state) != scale(listed):
        raise Refused("instrument_exists")
    shard.instruments[listed.id] = book.state


def scale(state: InstrumentState) -> tuple[int, int, int, int]:
    """Return what gives an instrument's ticks and base units their meaning."""
    return (state.tick_num, state.tick_den, state.base_scale, state.multiplier_e18)


def set_state(shard: Shard, command: SetState) -> None:
    """Change an instrument's market state; delisting cancels all its orders."""
    book = known_book(shard, command.instrument)
    book.state.state = command.state
    reopen(shard, book)
    if command.state == "delisted":
        clear_book(shard, book, "delisted")


def set_hours(shard: Shard, command: SetHours) -> None:
    """Set when instruments trade from now on; those that are not listed are passed over."""
    spans = command.spans
    turns = [at for span in spans or () for at in span]
    if any(later <= sooner for sooner, later in pairwise(turns)):
        raise Refused("poisonous")
    for id_ in command.instruments:
        book = shard.books.get(id_)
        if book is None:
            continue
        state = book.state
        hours = None if spans is None else [list(span) for span in spans if span[1] > shard.at]
        state.hours = hours
        state.closed = hours is not None and not (hours and hours[0][0] <= shard.at)
        schedule_turn(shard, state)
        reopen(shard, book)


def mark(shard: Shard, command: Mark) -> None:
    """Take new reference prices; those of instruments that are not listed are passed over."""
    for name, price in command.prices.items():
        book = shard.books.get(int(name)) if is_id(name) else None
        if book is not None:
            if price != book.state.mark:
                look(shard, book, book.by_mark, price)
            book.state.mark = price
            book.state.mark_at = shard.at
            shard.instruments[book.state.id] = book.state


def is_id(name: str | int) -> bool:
    """Tell whether a name is a number that an instrument can have."""
    return str(name).isdecimal() and len(str(name)) <= len(str(BIGGEST))


def marks_wanted(shard: Shard, prices: dict[int, int]) -> dict[int, int]:
    """Choose the reference prices that somebody waits for: those that a `mark` should carry.

    An armed trigger or trail wants every change. A band wants a price that has moved by a tenth of
    its width since it was told one, or that tells whether the last trade was inside.
    """
    wanted = {}
    for id_, price in prices.items():
        book = shard.books.get(id_)
        if book is None or price == book.state.mark:
            continue
        if book.by_mark or band_wants(book.state, price):
            wanted[id_] = price
    return wanted


def band_wants(state: InstrumentState, price: int) -> bool:
    """Tell whether an instrument's band should know a price."""
    if state.band_ppm is None:
        return False
    if state.mark is None:
        return True
    if abs(price - state.mark) * PPM * CLOSE_ENOUGH >= state.band_ppm * state.mark:
        return True
    return is_outside(state, price) != is_outside(state, state.mark)


def set_band(shard: Shard, command: SetBand) -> None:
    """Set how far trades may be from the mark, for how long, and how long trading then pauses."""
    book = known_book(shard, command.instrument)
    state = book.state
    state.band_ppm = command.band_ppm
    state.band_after_us = command.band_after_us
    state.pause_us = command.pause_us
    state.band_since = None
    shard.instruments[command.instrument] = state


def set_multiplier(shard: Shard, command: SetMultiplier) -> None:
    """Cancel all of an instrument's orders, then let base units count for more or fewer shares."""
    book = known_book(shard, command.instrument)
    if command.multiplier_e18 > BIGGEST_MULTIPLIER_E18:
        raise Refused("poisonous")
    clear_book(shard, book, "corporate_action")
    state = book.state
    state.multiplier_e18 = command.multiplier_e18
    # Prices from before mean something else now: a split must not fire a stop.
    state.last = state.mark = state.mark_at = state.band_since = None
    book.rescale()
    shard.instruments[command.instrument] = book.state


def known_book(shard: Shard, instrument: int) -> Book:
    """Return an instrument's book, or refuse."""
    book = shard.books.get(instrument)
    if book is None:
        raise Refused("unknown_instrument")
    return book


def clear_book(shard: Shard, book: Book, reason: str) -> None:
    """Cancel all orders of an instrument, oldest id first; standing quotes lose their levels."""
    instrument = book.state.id
    for id_ in sorted(shard.orders):
        order = shard.orders[id_]
        if order.instrument != instrument:
            continue
        if order.type == "quote":
            shard.clear_quote(order)
        else:
            shard.cancel(order, reason)
