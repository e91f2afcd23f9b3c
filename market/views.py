"""The market's pages."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

import instruments.queries
from common import clock
from instruments.models import Instrument
from market import queries
from market.queries import Ticker
from market.rules import sessions

SORTS = {"name": "Name", "gainers": "Biggest gain", "losers": "Biggest loss", "price": "Price"}
TYPES = {"": "All", "stock": "Stocks", "etf": "ETFs"}
LAST = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    instrument: Instrument
    ticker: Ticker
    points: list[Decimal]


def instruments_page(request: HttpRequest) -> HttpResponse:
    """Show what can be traded; `search`, `type` and `sort` narrow and order it."""
    text = request.GET.get("search", "")
    kind = request.GET.get("type", "")
    sort = request.GET.get("sort", "name")
    found = list(instruments.queries.search(text=text, kind=kind))
    tickers = queries.tickers(found)
    lines = queries.sparklines(found)
    rows = [Row(i, tickers[i.symbol], lines.get(i.pk, [])) for i in found]
    context = {
        "rows": sorted(rows, key=_order(sort)),
        "simulated": any(row.ticker.simulated for row in rows),
        "weekday_session": sessions.session_at(sessions.WEEKDAYS, clock.now()),
        "search": text,
        "kind": kind if kind in TYPES else "",
        "sort": sort if sort in SORTS else "name",
        "types": TYPES,
        "sorts": SORTS,
    }
    part = "#rows" if getattr(request, "htmx", False) else ""
    return render(request, f"market/instrument_list.html{part}", context)


def _order(sort: str) -> Callable[[Row], tuple[Decimal, str]]:
    """Give the key to sort by; what isn't known comes last, equals by name."""

    def key(row: Row) -> tuple[Decimal, str]:
        pct, price = row.ticker.change_24h_pct, row.ticker.reference_price
        first = {
            "gainers": LAST if pct is None else -pct,
            "losers": LAST if pct is None else pct,
            "price": LAST if price is None else -price,
        }
        return first.get(sort, Decimal(0)), row.instrument.name.casefold()

    return key
