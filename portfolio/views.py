"""The pages of what a customer has: home, portfolio, activity."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

import kyc.queries
import market.queries
import spending.queries
from common import clock
from common.money import USD, Amount, in_dollars
from instruments.models import Instrument
from portfolio import queries
from users.models import User

SHOWN = 6
WATCHED = 8
RECENT = 6
A_PAGE = 40


def owner(request: HttpRequest) -> User:
    """Give the signed-in customer."""
    assert isinstance(request.user, User)
    return request.user


@dataclass(frozen=True, slots=True)
class Asked:
    """Who looks at home, at what they have, over which period, and when."""

    user: User
    whole: queries.Summary
    period: str
    now: datetime


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the total, what is next, holdings, watchlist, movers and what happened last.

    `?part=` gives one of its parts alone, for the page to refresh itself.
    """
    user, now = owner(request), clock.now()
    period = request.GET.get("period", "1d")
    whole = queries.summary(user, now=now)
    asked = Asked(user, whole, period if period in queries.PERIODS else "1d", now)
    part = request.GET.get("part", "")
    if part in PARTS:
        return render(request, f"portfolio/home_show.html#{part}", PARTS[part](asked))
    page: dict[str, Any] = {"movers": queries.movers}  # the same for all, and asked for seldom
    for fill in PARTS.values():
        page |= fill(asked)
    return render(request, "portfolio/home_show.html", page)


def hero(asked: Asked) -> dict[str, Any]:
    """Give the total, and what keeps it true as prices move."""
    return {"whole": asked.whole, "live": live_data(asked.whole)}


def step(asked: Asked) -> dict[str, Any]:
    """Give what is next."""
    return {"step": next_step(asked.user, asked.whole)}


def chart(asked: Asked) -> dict[str, Any]:
    """Give the line of the period, what it earned, and what came in meanwhile."""
    history = queries.value_history(asked.user, asked.whole, period=asked.period, now=asked.now)
    return {
        "chart": chart_of(history.points),
        "earned": Amount(history.earned, USD),
        "earned_pct": history.earned_pct,
        "moved": Amount(abs(history.came), USD),
        "moved_words": "came in" if history.came > 0 else "went out",
        "period": asked.period,
        "period_words": queries.PERIODS[asked.period].words,
        "periods": {key: one.words for key, one in queries.PERIODS.items()},
    }


def holdings(asked: Asked) -> dict[str, Any]:
    """Give the largest positions with their sparklines."""
    shown = asked.whole.positions[:SHOWN]
    drawn = [one.instrument for one in shown]
    lines = market.queries.sparklines(drawn, lines=asked.whole.lines)
    return {
        "holdings": [(one, lines.get(one.instrument.pk)) for one in shown],
        "whole": asked.whole,
    }


def watched(asked: Asked) -> dict[str, Any]:
    """Give the watchlist with its prices and sparklines."""
    stars = list(market.queries.watchlist_of(asked.user)[:WATCHED])
    tickers = market.queries.tickers(stars, books=False)
    lines = market.queries.sparklines(stars)
    return {"watched": [(one, tickers.get(one.symbol), lines.get(one.pk)) for one in stars]}


def recent(asked: Asked) -> dict[str, Any]:
    """Give what happened last."""
    return {"items": queries.page_of(asked.user, limit=RECENT).items}


PARTS: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "hero": hero,
    "step": step,
    "chart": chart,
    "holdings": holdings,
    "watched": watched,
    "recent": recent,
}


@login_required
@require_safe
def positions(request: HttpRequest) -> HttpResponse:
    """Show every holding with its cost, value and gain."""
    whole = queries.summary(owner(request), now=clock.now())
    page = {"whole": whole, "cash": Amount(whole.cash, USD), "live": live_data(whole)}
    part = "#table" if request.GET.get("part") == "table" else ""
    return render(request, f"portfolio/position_list.html{part}", page)


@login_required
@require_safe
def position(request: HttpRequest, symbol: str) -> HttpResponse:
    """Show one holding, as a fragment of the instrument's page."""
    instrument = get_object_or_404(Instrument, symbol__iexact=symbol)
    held = queries.position(owner(request), instrument.symbol, now=clock.now())
    page = {"position": held, "instrument": instrument}
    return render(request, "portfolio/position_show.html", page)


@login_required
@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """List everything that moved value, newest first, page by page."""
    beyond = as_place(request.GET.get("before", ""))
    found = queries.page_of(owner(request), limit=A_PAGE, beyond=beyond)
    page = {"items": found.items, "older": str(found.older) if found.older else ""}
    return render(request, "portfolio/activity_list.html", page)


def as_place(text: str) -> queries.Place | None:
    """Read a place of the activity; who has none, or made one up, begins with the newest."""
    try:
        return queries.Place.read(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Step:
    """What a customer should do next."""

    title: str
    words: str
    url: str
    action: str
    tone: str = "accent"


def next_step(user: User, whole: queries.Summary) -> Step | None:
    """Say what is next for somebody who cannot trade yet, has no money, or holds nothing."""
    standing = kyc.queries.standing(user)
    if not standing.can["trade"]:
        title, action, tone = UNVERIFIED.get(standing.status, (VERIFY, "Verify", "accent"))
        return Step(title, " ".join(standing.because), "kyc:application", action, tone)
    if whole.owed:
        title = f"You owe {in_dollars(whole.owed, ROUND_CEILING)}"
        return Step(title, OWED, "payments:deposit", "Deposit", "warn")
    if not whole.cash and not whole.positions:
        return Step("Add your first dollars", DEPOSIT, "payments:deposit", "Deposit")
    if not whole.positions:
        return Step(
            "Buy your first piece of a company", BUY, "market:instruments", "See the markets"
        )
    if not spending.queries.cards_of(user).exists():
        return Step("Pay with what you own", CARD, "spending:cards", "Get a card", "info")
    return None


VERIFY = "One step before you can trade"
WAITING = ("submitted", "checking", "in_review", "awaiting_second_approval", "approved")
CHECKING = ("We are checking your details", "See it", "info")
REFUSED = ("We could not open an account for you", "See why", "down")
LIMITED = ("You cannot buy now", "See more", "info")
UNVERIFIED = {  # a title, what the button says, a tone; by the standing of who cannot trade
    **dict.fromkeys(WAITING, CHECKING),
    "rejected": REFUSED,
    **dict.fromkeys(("active", "restricted", "frozen", "closed"), LIMITED),
}
OWED = (
    "A merchant took more than you had. New money pays that first; no card pays until it is paid."
)
DEPOSIT = "A bank transfer brings them here; you can look around meanwhile."
BUY = "A dollar is enough, at any hour. Pick one you know."
CARD = "A virtual card pays from your cash, and from shares you choose."


def live_data(whole: queries.Summary) -> str:
    """Say what a page needs to keep the total true as prices move.

    Dollars of cash and of what there was a day ago (money in and out aside), shares and prices.
    """
    priced = [one for one in whole.positions if one.price is not None]
    positions = {
        one.instrument.symbol: [float(one.quantity), float(one.price or 0)] for one in priced
    }
    cash, then = (
        float(Amount(units, USD).decimal) for units in (whole.cash, whole.total - whole.day_change)
    )
    return json.dumps({"cash": cash, "then": then, "positions": positions})


def chart_of(history: list[queries.Point]) -> dict[str, Any]:
    """Say a history as a line for a box of 1000 by 200, and as the points behind it.

    A flat line runs through the middle.
    """
    values = [point.value for point in history]
    low, high = min(values), max(values)
    last = max(1, len(values) - 1)
    heights = [190 - 180 * (value - low) / (high - low) if high > low else 100 for value in values]
    dots = [(round(1000 * index / last, 1), round(y, 1)) for index, y in enumerate(heights)]
    points = [[point.at.isoformat(), round(point.value / 10**6, 2)] for point in history]
    return {
        "line": " ".join(f"{x},{y}" for x, y in dots),
        "area": "0,200 " + " ".join(f"{x},{y}" for x, y in dots) + " 1000,200",
        "points": json.dumps(points),
        "low": Amount(low, USD),
        "high": Amount(high, USD),
    }
