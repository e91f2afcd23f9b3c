"""Orders over HTTP with every process running, beside an empty POST that signs in all the same.

`python -m bench.web` starts the whole platform on a home of its own. At fifty orders a second: the
time from asking to the trade being settled, as a watcher of the database sees it, beside the time
an empty POST takes at the same rate. Then as many as it takes in from 16 connections. Then the
crowd grows: ten times the customers, open orders and history, and everything once more.
"""

import asyncio
import json
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.__main__ import table
from bench.stand.apart import rows_of
from bench.stand.client import Answer, Post, flood, pace

CUSTOMERS = 1_000
RESTING = 2_000
HISTORY = 5_000
GROWTH = 10
TRADERS = 64
RATE = 50
PACED = 500
CONNECTIONS = 16
SECONDS = 10
REST_S = 3  # the settler's backlog
LOOK_S = 0.01
PATIENCE_S = 240
NOTHING = "/bench/nothing"
ORDERS = "/api/v1/orders"


def measure() -> list[dict[str, Any]]:
    """Run in a process of its own, on a home of its own, and give its rows."""
    return rows_of("web", anew=True)


def rows() -> list[dict[str, Any]]:
    """Measure at one size and at ten times it; Django is set up here and not before."""
    import django  # noqa: PLC0415

    django.setup()
    from bench.stand import bed, crowd  # noqa: PLC0415

    found: list[dict[str, Any]] = []
    people = None
    for growth in (1, GROWTH):
        with bed.servers():
            people = people or crowd.Crowd()
            people.grow(
                customers=CUSTOMERS * growth, resting=RESTING * growth, trades=HISTORY * growth
            )
            tokens = people.tokens_for(TRADERS)
        with bed.platform(port=free_port()) as address:
            ready(address, tokens[0])
            found += [{"crowd": growth, **row} for row in both(address, tokens)]
            found[-1]["peak_mb"] = found[-2]["peak_mb"] = bed.web_peak_mb()
    for now, before in zip(found[2:], found[:2], strict=True):
        now["cost growth"] = round(now["it / empty"] / before["it / empty"], 2)
    found[3]["cost growth"] = round(found[1]["it / empty"] / found[3]["it / empty"], 2)
    return found


def both(address: str, tokens: list[str]) -> list[dict[str, Any]]:
    """Measure latency and then throughput, each beside the empty POST."""
    empty = asyncio.run(pace(address, [nothing(n, tokens) for n in range(PACED)], rate=RATE))
    p50_ms = statistics.median(answer.took for answer in empty) * 1000
    times = settled_ms(address, [order(n, tokens) for n in range(PACED)])
    asked = [
        asyncio.run(ask_often(address, make, tokens, seconds=SECONDS)) for make in (nothing, order)
    ]
    nothings, orders = (
        sum(answer.status in {200, 201} for answer in answers) / SECONDS for answers in asked
    )
    latency = {
        "what": f"order to settled, {RATE} a second",
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(statistics.quantiles(times, n=100)[98], 1),
        "empty": round(p50_ms, 1),
        "it / empty": round(statistics.median(times) / p50_ms, 2),
        "p99 / empty": round(statistics.quantiles(times, n=100)[98] / p50_ms, 2),
    }
    throughput = {
        "what": "orders a second",
        "per_second": round(orders),
        "empty": round(nothings),
        "it / empty": round(orders / nothings, 2),
    }
    return [latency, throughput]


async def ask_often(
    address: str, make: Callable[..., Post], tokens: list[str], *, seconds: float
) -> list[Answer]:
    """Ask for as many as it takes in, and let what came of them settle."""
    made = partial(make, tokens=tokens)
    answers = await flood(address, made, connections=CONNECTIONS, seconds=seconds)
    await asyncio.sleep(REST_S)
    return answers


def nothing(number: int, tokens: list[str]) -> Post:
    """Sign in and do nothing."""
    return Post(NOTHING, tokens[number % len(tokens)], {})


def order(number: int, tokens: list[str]) -> Post:
    """Buy for five dollars at the market: the house's quote fills it."""
    body = {"instrument": "AAPLx", "side": "buy", "type": "market", "notional": "5"}
    return Post(ORDERS, tokens[number % len(tokens)], body)


def settled_ms(address: str, posts: list[Post]) -> list[float]:
    """Place orders at the rate; give for each the milliseconds until its trade was settled."""
    watcher = Watcher()
    answers = asyncio.run(pace(address, posts, rate=RATE))
    refused = [answer.body for answer in answers if answer.status != 201]
    if refused:
        raise RuntimeError(f"{len(refused)} orders were refused, the first: {refused[0]}")
    seen = watcher.wait_for({answer.body["id"] for answer in answers})
    return [(seen[answer.body["id"]] - answer.asked_at) * 1000 for answer in answers]


class Watcher(threading.Thread):
    """Looks every few milliseconds which orders have a settled trade, and notes when."""

    def __init__(self) -> None:
        """Begin after the last trade there is."""
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        """Look until it is over; one settler settles in the order of trades."""
        from django.db import connection  # noqa: PLC0415

        query = """
            SELECT t.id, o.uid::text FROM trading_trade t JOIN trading_order o
            ON o.id = t.buy_order_id WHERE t.id > %s AND t.settled_at IS NOT NULL ORDER BY t.id
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM trading_trade")
            [(last,)] = cursor.fetchall()
            while not self._over.wait(LOOK_S):
                cursor.execute(query, [last])
                now = time.time()
                for last, uid in cursor.fetchall():  # noqa: B007 - the last one stays
                    self.seen[uid] = now
        connection.close()

    def wait_for(self, uids: set[str]) -> dict[str, float]:
        """Wait until all are settled; give when each was seen to be."""
        deadline = time.monotonic() + PATIENCE_S
        while uids - self.seen.keys() and time.monotonic() < deadline:
            time.sleep(0.1)
        self._over.set()
        self.join()
        if missing := uids - self.seen.keys():
            raise RuntimeError(f"{len(missing)} orders were never settled")
        return self.seen


def ready(address: str, token: str) -> None:
    """Wait until the feed has made its past, and the house fills an order: then it is quiet."""
    from instruments.models import Instrument  # noqa: PLC0415
    from krakapp import embedded  # noqa: PLC0415
    from market.models import Candle  # noqa: PLC0415

    listed = Instrument.objects.filter(listed=True).count()
    with_past = Candle.objects.filter(kind="reference", interval="1d").values("instrument")
    embedded.wait_until(
        lambda: with_past.distinct().count() == listed, seconds=PATIENCE_S, what="the feed's past"
    )
    [answer] = asyncio.run(pace(address, [order(0, [token])], rate=RATE))
    check(answer)
    for make in (nothing, order):  # whatever is loaded with the first requests
        asyncio.run(flood(address, partial(make, tokens=[token]), connections=8, seconds=2))


def check(answer: Answer) -> None:
    """Stop where the house does not trade."""
    if answer.status != 201:
        raise RuntimeError(f"no order could be placed: {answer.body}")


def free_port() -> int:
    """Find a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Print the table, or the rows where somebody asks for them."""
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(rows()))
        return
    sys.stdout.write(table(measure()) + "\n")


if __name__ == "__main__":
    main()
