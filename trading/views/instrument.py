"""The page of one instrument."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from common import clock
from market import queries as market
from trading.forms import fresh_ticket
from trading.models import Order
from trading.views.ticket import find, page_of

LEVELS = 10
TRADES = 20


@require_safe
def instrument(request: HttpRequest, symbol: str) -> HttpResponse:
    """Show an instrument: its price and chart, the ticket, the book, what is mine, what it is."""
    found = find(symbol)
    side = Order.Side.SELL if request.GET.get("side") == "sell" else Order.Side.BUY
    context = page_of(request, found, fresh_ticket(side=side))
    return render(
        request,
        "trading/instrument.html",
        {
            **context,
            "ticker": market.tickers([found])[found.symbol],
            "session": market.session(found, clock.now()),
            "reference": market.reference_price(found),
            "book": market.book_of(found.symbol, LEVELS),
            "tape": market.tape(found)[:TRADES],
            "closes": market.sparklines([found]).get(found.pk),
        },
    )
