"""The pages that belong to no app."""

import json
import math
import sys
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template import loader
from django.utils.safestring import SafeString
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

import instruments.queries
from common import api, clock
from krakapp import health, shell
from krakapp.forms import SampleForm
from krakapp.problems import for_programs


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Say whether every part is well: 200, or 503 with the failing part named."""
    parts = health.examine()
    well = all(state == "ok" for state in parts.values())
    answer = JsonResponse({"status": "ok" if well else "failing", **parts})
    answer.status_code = 200 if well else 503
    answer._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - asked often
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that it broke, or with 503 that it works again soon: the database is away or busy.

    The page is rendered without the request, so it asks the database nothing.
    """
    failure = sys.exception()
    if not isinstance(failure, api.PASSING):
        return defaults.server_error(request)
    if for_programs(request.path_info):
        return api.unavailable(failure, request)
    page = loader.get_template("503.html").render()
    return HttpResponse(page, status=503, headers={"Retry-After": "1"})


FEATURED = ("AAPLx", "NVDAx", "TSLAx", "SPYx", "GOOGLx", "MCDx")


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Tell a stranger what this is; who is signed in goes home."""
    if request.user.is_authenticated:
        return redirect("portfolio:home")
    return render(request, "krakapp/landing.html", {"instruments": featured()})


def featured() -> list[dict[str, Any]]:
    """Give the names everybody knows, with their last reference price and its change of a day."""
    known = instruments.queries.listed().filter(symbol__in=FEATURED, reference__isnull=False)
    found = {row.symbol: row for row in known.select_related("reference")}
    return [
        {
            "symbol": symbol,
            "name": found[symbol].name,
            "price": found[symbol].reference.price,
            "change_pct": (found[symbol].reference.price / found[symbol].reference.day_open - 1)
            * 100,
        }
        for symbol in FEATURED
        if symbol in found
    ]


@require_safe
def answers(request: HttpRequest) -> HttpResponse:
    """Answer what customers ask, and say where to write."""
    _, support = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return render(request, "krakapp/help.html", {"support": support})


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """Describe the installable app."""
    return JsonResponse(shell.manifest(), content_type="application/manifest+json")


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """Give the script that keeps the app's shell; at the root it watches over every page."""
    version, addresses = shell.shell()
    page = {"version": version, "shell": SafeString(json.dumps(addresses))}
    answer = render(
        request, "krakapp/service_worker.js", page, content_type="text/javascript; charset=utf-8"
    )
    answer["Cache-Control"] = "no-cache"
    return answer


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """Say that there is no network: the service worker keeps this page, the same for everybody."""
    return render(request, "krakapp/offline.html")


@require_safe
def design(request: HttpRequest) -> HttpResponse:
    """Show every component with made-up content; demo mode only."""
    # The unticked agreement shows what a failed field looks like.
    form = SampleForm({"amount": "2500", "country": "DE", "kind": "virtual"})
    colors = (
        "canvas surface raised sunken line ink ink-soft ink-faint accent accent-ink "
        "up down warn info"
    )
    return render(
        request,
        "krakapp/design.html",
        {
            "form": form,
            "now": clock.now(),
            "colors": colors.split(),
            "steps": ["You", "Address", "Tax", "Agreements"],
            "holdings": SAMPLE_HOLDINGS,
        },
    )


def wave(phase: float, drift: float) -> list[float]:
    """Draw a plausible little line for a sparkline."""
    return [math.sin(step / 3 + phase) + drift * step for step in range(28)]


SAMPLE_HOLDINGS = [
    dict(zip(("symbol", "name", "quantity", "value", "pct", "points"), row, strict=True))
    for row in (
        ("AAPLx", "Apple", "4.25", "1183.63", "1.25", wave(0, 0.08)),
        ("SPYx", "S&P 500 ETF by State Street", "1.0391", "688.40", "0.12", wave(2, 0.02)),
        ("TSLAx", "Tesla", "0.5", "215.51", "-2.31", wave(4, -0.09)),
        ("GOOGLx", "Alphabet", "2", "391.22", "0", wave(1, 0)),
    )
]
