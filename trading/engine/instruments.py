"""The commands about instruments: listing, market state, marks, multiplier."""

from typing import Annotated, Any

from msgspec import Meta, Struct, convert

from trading.engine.book import Book
from trading.engine.shard import Refused, Shard
from trading.engine.state import BIGGEST_MULTIPLIER_E18, InstrumentState, MarketState, Positive


class SetState(Struct, gc=False):
    """Open, restrict or close trading in an instrument."""

    instrument: int
    state: MarketState


class Mark(Struct, gc=False):
    """New reference prices in ticks, by instrument id (a string in JSON)."""

    prices: dict[str | int, Positive]


class SetMultiplier(Struct, gc=False):
    """A corporate action: a base unit stands for another number of shares."""

    instrument: int
    multiplier_e18: Annotated[int, Meta(ge=1)]


def list_instrument(shard: Shard, payload: dict[str, Any]) -> None:
    """Open an empty book; the same listing again changes nothing, another one is refused."""
    listed = convert(payload, InstrumentState)
    listed.last = listed.mark = listed.mark_at = None
    if listed.multiplier_e18 > BIGGEST_MULTIPLIER_E18:
        raise Refused("poisonous")
    book = shard.books.get(listed.id)
    if book is None:
        book = shard.books[listed.id] = Book(listed)
        shard.out.books.add(listed.id)
    elif scale(book.state) != scale(listed):
        raise Refused("instrument_exists")
    shard.instruments[listed.id] = book.state


def scale(state: InstrumentState) -> tuple[int, int, int, int]:
    """Return what gives an instrument's ticks and base units their meaning."""
    return (state.tick_num, state.tick_den, state.base_scale, state.multiplier_e18)


def set_state(shard: Shard, payload: dict[str, Any]) -> None:
    """Change an instrument's market state; delisting cancels all its orders."""
    command = convert(payload, SetState)
    book = known_book(shard, command.instrument)
    book.state.state = command.state
    shard.instruments[command.instrument] = book.state
    if command.state == "delisted":
        clear_book(shard, book, "delisted")


def mark(shard: Shard, payload: dict[str, Any]) -> None:
    """Take new reference prices; those of instruments that are not listed are passed over."""
    command = convert(payload, Mark)
    for name, price in command.prices.items():
        book = shard.books.get(int(name)) if str(name).isdecimal() else None
        if book is not None:
            book.state.mark = price
            book.state.mark_at = shard.at
            shard.instruments[book.state.id] = book.state


def set_multiplier(shard: Shard, payload: dict[str, Any]) -> None:
    """Cancel all of an instrument's orders, then let base units count for more or fewer shares."""
    command = convert(payload, SetMultiplier)
    book = known_book(shard, command.instrument)
    if command.multiplier_e18 > BIGGEST_MULTIPLIER_E18:
        raise Refused("poisonous")
    clear_book(shard, book, "corporate_action")
    book.state.multiplier_e18 = command.multiplier_e18
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
