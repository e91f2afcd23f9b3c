"""The market's pages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe

import instruments.queries
from common import clock
from common.forms import posts_from
from instruments.models import Instrument
from market import operations, queries
from market.queries import Ticker
from market.rules import sessions, states
from users.models import User

SORTS = {
    "name": "Name",
    "popular": "Most popular",
    "gainers": "Biggest gain",
    "losers": "Biggest loss",
    "price": "Price",
}
SUGGESTED = 6
STARRED = "starred"
TYPES = {"": "All", "stock": "Stocks", "etf": "ETFs"}
LAST = Decimal("Infinity")
LINKS_S = 2
POPULARITY, POPULARITY_S = "market:popularity", 60


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    instrument: Instrument
    ticker: Ticker
    link: str
    starred: bool


def instruments_page(request: HttpRequest) -> HttpResponse:
    """Show what can be traded; `search`, `type` and `sort` narrow and order it."""
    text = request.GET.get("search", "")
    kinds = TYPES | ({STARRED: "Starred"} if request.user.is_authenticated else {})
    kind = request.GET.get("type", "") if request.GET.get("type") in kinds else ""
    sort = request.GET.get("sort", "name")
    stars = queries.starred_by(request.user)
    fits = instruments.queries.ranks(text)
    found = list(instruments.queries.search(kind=kind))
    if text.strip():
        found = [one for one in found if one.pk in fits]
    if kind == STARRED:
        found = [one for one in found if one.pk in stars]
    tickers, links = queries.tickers(found, books=False), _links(found)
    rows = [Row(i, tickers[i.symbol], links[i.symbol], i.pk in stars) for i in found]
    counted: Mapping[int, float] = {}
    if sort == "popular":
        counted = _popularity()
    if text.strip() and sort == "name":
        counted, sort = fits, "popular"
    context = {
        "rows": sorted(rows, key=_order(sort, counted)),
        "simulated": any(row.ticker.simulated for row in rows),
        "weekday_session": sessions.session_at(sessions.WEEKDAYS, clock.now()),
        "search": text,
        "kind": kind,
        "sort": request.GET.get("sort") if request.GET.get("sort") in SORTS else "name",
        "types": kinds,
        "sorts": SORTS,
        "nothing_starred": kind == STARRED and not stars,
    }
    part = "#rows" if getattr(request, "htmx", False) else ""
    return render(request, f"market/instrument_list.html{part}", context)


@require_safe
def suggestions(request: HttpRequest) -> HttpResponse:
    """Suggest what somebody may mean, as options for the field that they type in."""
    fits = instruments.queries.ranks(request.GET.get("search", ""))
    found = sorted(
        Instrument.objects.filter(pk__in=fits), key=lambda one: (-fits[one.pk], one.name)
    )
    page = {"found": found[:SUGGESTED]}
    return render(request, "market/instrument_list.html#suggestions", page)


@posts_from("trading:instrument", "symbol")
@login_required
def star(request: HttpRequest, symbol: str) -> HttpResponse:
    """Put an instrument on the watchlist (`on` is "yes"), or take it off."""
    assert isinstance(request.user, User)
    try:
        instrument = instruments.queries.by_symbol(symbol)
    except Instrument.DoesNotExist as error:
        raise Http404 from error
    on = request.POST.get("on") == "yes"
    if on:
        operations.star(instrument=instrument, customer=request.user, now=clock.now())
    else:
        operations.unstar(instrument=instrument, customer=request.user)
    if getattr(request, "htmx", False):
        context = {"instrument": instrument, "starred": on}
        return render(request, "market/instrument_star.html", context)
    after = request.POST.get("next", "")
    own = url_has_allowed_host_and_scheme(after, allowed_hosts={request.get_host()})
    return redirect(after if own else "market:instruments")


def _popularity() -> dict[int, int]:
    """Count who cares for what, the same for everybody, for a minute."""
    counted: dict[int, int] | None = cache.get(POPULARITY)
    if counted is None:
        counted = queries.popularity(clock.now())
        cache.set(POPULARITY, counted, POPULARITY_S)
    return counted


def _links(found: list[Instrument]) -> dict[str, str]:
    """Draw what a row says of its instrument, by symbol: the same for everybody, for a moment.

    What is drawn is a little old, and comes to life with the page.
    """
    links: dict[str, str] = cache.get(queries.LINKS_KEY, {})
    if any(one.symbol not in links for one in found):
        drawn = list(instruments.queries.listed())
        tickers, lines = queries.tickers(drawn, books=False), queries.sparklines(drawn)
        links = {one.symbol: _link(one, tickers[one.symbol], lines.get(one.pk)) for one in drawn}
        cache.set(queries.LINKS_KEY, links, LINKS_S)
    return links


def _link(instrument: Instrument, ticker: Ticker, points: list[Decimal] | None) -> str:
    note = instrument.get_type_display()
    if standing := states.standing_of(ticker.state):
        note = standing.title
    elif ticker.session != "open":
        note += ", closed"
    facts = {"instrument": instrument, "ticker": ticker, "points": points, "note": note}
    return render_to_string("market/instrument_list.html#link", facts)


def _order(
    sort: str, counted: Mapping[int, float]
) -> Callable[[Row], tuple[Decimal | float, str, str]]:
    """Give the key to sort by; what isn't known comes last, equals by name, then by symbol.

    :param counted: how many customers care for each, or how well it fits what is sought, by id
    """

    def key(row: Row) -> tuple[Decimal | float, str, str]:
        pct, price = row.ticker.change_24h_pct, row.ticker.reference_price
        first: dict[str, Decimal | float] = {
            "popular": -counted.get(row.instrument.pk, 0),
            "gainers": LAST if pct is None else -pct,
            "losers": LAST if pct is None else pct,
            "price": LAST if price is None else -price,
        }
        instrument = row.instrument
        return first.get(sort, Decimal(0)), instrument.name.casefold(), instrument.symbol

    return key
