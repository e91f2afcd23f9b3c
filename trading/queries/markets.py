"""Questions about the state of a market."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from common import database
from instruments.models import Instrument
from trading.models import Book


@dataclass(frozen=True, slots=True)
class MarketState:
    """Which orders a market takes now; a paused one goes on by itself."""

    word: str
    resumes_at: datetime | None


def books_of(instrument_ids: Iterable[int]) -> dict[int, Book]:
    """Give the books of instruments by the instrument's id; who is not listed has none."""
    which = "WHERE instrument_id = ANY (%s::bigint[])"
    books = database.read(Book, which, [list(instrument_ids)])
    return {book.instrument_id: book for book in books}


def market_state(instrument: Instrument) -> MarketState:
    """Give the state of an instrument's market, as the engine has last written it."""
    return state_of(Book.objects.filter(instrument=instrument).first())


def state_of(book: Book | None) -> MarketState:
    """Say what a book's row says; a market without one is not open yet."""
    if book is None:
        return MarketState(Book.State.MAINTENANCE, None)
    if until_us := book.engine_state.get("paused_until"):
        return MarketState("paused", datetime.fromtimestamp(until_us / 1_000_000, tz=UTC))
    return MarketState(book.state, None)
