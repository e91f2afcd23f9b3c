"""What each page takes on the server, with ten thousand customers and a million trades behind it.

`python -m bench.pages` fills a home of its own once (`manage.py seed_load`, minutes; it is kept
for the next time) and asks for each page as customers do who traded from a few times to thousands:
the 95th percentile beside that of an empty view of the same server, for customers who are signed in
as well, and how many queries.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.__main__ import table
from bench.sockets import serving
from bench.stand.apart import rows_of

ROOT = Path(__file__).resolve().parent.parent
CUSTOMERS = 10_000
TRADES = 1_000_000
VISITORS = 40
QUERIED = 5
EMPTY = "/bench/empty/"
PAGES = (
    "/home/",
    "/markets/",
    "/markets/AAPLx/",
    "/orders/",
    "/orders/?tab=history",
    "/portfolio/",
    "/activity/",
    "/deposit/",
    "/cards/",
    "/settings/",
    "/help/",
    "/api/v1/portfolio",
    "/api/v1/orders?status=closed",
    "/api/v1/trades",
    "/api/v1/activity",
    "/api/v1/instruments",
)


def measure() -> list[dict[str, Any]]:
    """Run in a process of its own, on a home of its own, and give a row for each page."""
    return rows_of("pages")


def rows() -> list[dict[str, Any]]:
    """Fill the home if it is empty, and visit; Django is set up here and not before."""
    import django  # noqa: PLC0415

    django.setup()
    with full_home(), serving() as (port, _):
        return visit(port)


@contextmanager
def full_home() -> Iterator[None]:
    """Run the servers on a home with the load in it and prices of just now."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from common import clock  # noqa: PLC0415
    from krakapp import embedded, load  # noqa: PLC0415
    from market import operations  # noqa: PLC0415
    from users.models import User  # noqa: PLC0415

    postgres = embedded.Postgres(settings.HOME, settings.RUN)
    valkey = embedded.Valkey(settings.HOME, settings.RUN)
    with embedded.running(settings.HOME, settings.RUN, postgres, valkey):
        call_command("prepare", stdout=sys.stderr)
        feed = operations.start_feed(now=clock.now())
        while feed.fill_past():
            pass
        feed.tick(now=clock.now())
        if not User.objects.filter(email=load.NAME.format(1)).exists():
            call_command("seed_load", customers=CUSTOMERS, trades=TRADES, stdout=sys.stderr)
        yield


def visit(port: int) -> list[dict[str, Any]]:
    """Ask for every page as each of the visitors."""
    visitors = [Visitor(email, port) for email in sample()]
    empties: list[float] = []  # asked for between the pages, so that both have the same weather
    found: list[dict[str, Any]] = []
    for page in PAGES:
        for warming in (page, EMPTY):
            visitors[0].took_ms(warming)
        times = []
        for visitor in visitors:
            times.append(visitor.took_ms(page))
            empties.append(visitor.took_ms(EMPTY))
        queries = {visitor.queries(page) for visitor in visitors[:QUERIED]}
        found.append(
            {
                "page": page,
                "p50_ms": round(statistics.median(times), 1),
                "p95_ms": round(p95(times), 1),
                "queries": " or ".join(map(str, sorted(queries))),
            }
        )
    for row in found:
        row["p95 / empty"] = round(row["p95_ms"] / p95(empties), 1)
    p50 = round(statistics.median(empties), 1)
    return [{"page": EMPTY, "p50_ms": p50, "p95_ms": round(p95(empties), 1)}, *found]


def sample() -> list[str]:
    """Choose visitors of the load at random, the busiest among them."""
    from krakapp import load  # noqa: PLC0415

    drawn = random.Random(7).sample(range(1, CUSTOMERS + 1), VISITORS - 1)  # noqa: S311
    return [load.NAME.format(number) for number in (1, *drawn)]


class Visitor:
    """A customer's browser, on one connection that stays open."""

    def __init__(self, email: str, port: int) -> None:
        """Sign in."""
        from django.test import Client  # noqa: PLC0415

        from users.models import User  # noqa: PLC0415

        backend = "allauth.account.auth_backends.AuthenticationBackend"
        self.client = Client()
        self.client.force_login(User.objects.get(email=email), backend=backend)
        self.cookie = f"sessionid={self.client.cookies['sessionid'].value}"
        self.line = HTTPConnection("127.0.0.1", port, timeout=60)

    def took_ms(self, page: str) -> float:
        """Ask the server for a page; say how long it took."""
        began = time.perf_counter()
        self.line.request("GET", page, headers={"Cookie": self.cookie})
        answer = self.line.getresponse()
        answer.read()
        took_ms = (time.perf_counter() - began) * 1_000
        assert answer.status == 200, f"{page} answers {answer.status}"
        return took_ms

    def queries(self, page: str) -> int:
        """Say how many queries a page makes."""
        from django.db import connection  # noqa: PLC0415

        count = 0

        def counting(execute: Any, *args: Any) -> Any:
            nonlocal count
            count += 1
            return execute(*args)

        with connection.execute_wrapper(counting):
            self.client.get(page)
        return count


def p95(times: list[float]) -> float:
    """Give the time that nineteen of twenty stay below."""
    return sorted(times)[len(times) * 95 // 100]


if __name__ == "__main__":
    if sys.argv[1:] == ["rows"]:
        sys.stdout.write("\n" + json.dumps(rows()) + "\n")
    else:
        sys.stdout.write(table(measure()) + "\n")
