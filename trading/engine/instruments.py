"""The commands about instruments: listing, market state, marks, multiplier."""

from trading.engine.book import Book
from trading.engine.commands import Mark, SetBand, SetMultiplier, SetState
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST_MULTIPLIER_E18, InstrumentState
from trading.engine.triggers import look, look_again


def list_instrument(shard: Shard, listed: InstrumentState) -> None:
    """Open an empty book; the same listing again changes nothing, another one is refused."""
    listed.last = listed.mark = listed.mark_at = None
    listed.band_since = listed.paused_until = None
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
    shard.instruments[command.instrument] = book.state
    was_open = book.open
    book.reopen()
    if command.state == "delisted":
        clear_book(shard, book, "delisted")
    elif book.open and not was_open:
        look_again(shard, book)


def mark(shard: Shard, command: Mark) -> None:
    """Take new reference prices; those of instruments that are not listed are passed over."""
    for name, price in command.prices.items():
        book = shard.books.get(int(name)) if str(name).isdecimal() else None
        if book is not None:
            if price != book.state.mark:
                look(shard, book, book.by_mark, price)
            book.state.mark = price
            book.state.mark_at = shard.at
            shard.instruments[book.state.id] = book.state


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
