"""The page of one instrument."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

import instruments.queries
from common import clock
from instruments.models import Instrument
from instruments.queries import ISSUER
from market import queries as market
from market.rules import states
from trading import queries
from trading.forms import fresh_ticket
from trading.models import Order
from trading.views.ticket import find, page_of

LEVELS = 10
TRADES = 20


@require_safe
def instrument(request: HttpRequest, symbol: str) -> HttpResponse:
    """Show an instrument: its price and chart, the ticket, the book, what is mine, what it is."""
    found = find(symbol)
    standing = standing_of(found)
    if getattr(request, "htmx", False):
        return render(request, "trading/instrument.html#standing", standing)
    lines = instruments.queries.timelines([found])
    tape = market.last_trades(found, TRADES, lines=lines)
    side = Order.Side.SELL if request.GET.get("side") == "sell" else Order.Side.BUY
    return render(
        request,
        "trading/instrument.html",
        {
            **page_of(request, found, fresh_ticket(side=side)),
            **standing,
            "book": market.book_of(found.symbol, LEVELS),
            "tape": tape,
            "simulated_trades": any(trade.simulated for trade in tape),
            "closes": market.sparklines([found], lines=lines).get(found.pk),
            "starred": found.pk in market.starred_by(request.user),
            "issuer": ISSUER,
        },
    )


def standing_of(found: Instrument) -> dict[str, Any]:
    """Gather whether it trades now, and if not, why and until when."""
    state = queries.market_state(found)
    return {
        "instrument": found,
        "ticker": market.tickers([found])[found.symbol],
        "session": market.session(found, clock.now()),
        "state": state,
        "standing": states.standing_of(state.word),
    }
