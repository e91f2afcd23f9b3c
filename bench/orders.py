"""Accepting and settling orders, beside pgbench writing the same rows one by one.

`python -m bench.orders` measures acceptance (one order a transaction, and fifty) from four
connections, each a process of its own as web workers are, and settlement of 10,000 trades among
1,000 customers by the one settler, beside pgbench with one connection. Then the crowd grows: ten
times the customers, open orders and history, and everything once more.
"""

import json
import sys
import time
from typing import Any

from bench.__main__ import table
from bench.stand.apart import rows_of

CLIENTS = 4
SECONDS = 4
CUSTOMERS = 1_000
RESTING = 2_000
HISTORY = 5_000
SETTLED = 10_000
GROWTH = 10


def measure() -> list[dict[str, Any]]:
    """Run in a process of its own, on a home of its own, and give a row for each size."""
    return rows_of("orders", anew=True)


def rows() -> list[dict[str, Any]]:
    """Measure at one size and at ten times it; Django is set up here and not before."""
    import django  # noqa: PLC0415

    django.setup()
    from bench.stand import bed, crowd  # noqa: PLC0415

    found: list[dict[str, Any]] = []
    with bed.servers():
        people = crowd.Crowd()
        for growth in (1, GROWTH):
            people.grow(
                customers=CUSTOMERS * growth, resting=RESTING * growth, trades=HISTORY * growth
            )
            for what, size in (("one order a transaction", 1), ("50 orders a batch", 50)):
                found.append({"what": what, "crowd": growth, **accept(people, size)})
            found.append({"what": "settle 10,000 trades", "crowd": growth, **settle(people)})
    for row in found[len(found) // 2 :]:
        before = next(r for r in found if r["what"] == row["what"])
        row["cost growth"] = round(before["per_second"] / row["per_second"], 2)
    return found


def accept(people: Any, size: int) -> dict[str, Any]:
    """Accept orders for some seconds, and let pgbench write such rows for as long."""
    import trading.operations  # noqa: PLC0415
    from bench.stand import bed, pgbench  # noqa: PLC0415
    from common import clock  # noqa: PLC0415
    from trading.models import Shard  # noqa: PLC0415

    shard, _ = Shard.objects.get_or_create(name="pgbench")  # which no engine leads
    order = trading.operations.place_order(
        draft=people.draft(0), customer=people.people[0], now=clock.now()
    )
    script = pgbench.accept(order, order.commands.get(), shard.pk)

    def work(worker: int) -> tuple[int, float]:
        return place(people, worker, size), bed.peak_mb()

    theirs = pgbench.run(script, clients=CLIENTS, variables=people.newest, seconds=SECONDS)
    done = bed.at_once(CLIENTS, work)
    ours = sum(count for count, _ in done) / SECONDS
    return {
        "per_second": round(ours),
        "pgbench": round(theirs),
        "it / pgbench": round(ours / theirs, 2),
        "peak_mb": round(max(peak for _, peak in done)),
    }


def place(people: Any, worker: int, size: int) -> int:
    """Place orders for some seconds, customer after customer; give how many were accepted."""
    import trading.operations  # noqa: PLC0415
    from common import clock  # noqa: PLC0415
    from trading.models import Order  # noqa: PLC0415

    drafts = [people.draft(number) for number in range(size)]
    turn, count = worker, 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        customer = people.people[turn % len(people.people)]
        placed = trading.operations.place_orders(drafts=drafts, customer=customer, now=clock.now())
        count += sum(isinstance(order, Order) for order in placed)
        turn += CLIENTS
    return count


def settle(people: Any) -> dict[str, Any]:
    """Settle trades, and let pgbench write what as many take."""
    import trading.operations  # noqa: PLC0415
    from bench.stand import bed, pgbench  # noqa: PLC0415
    from common import clock  # noqa: PLC0415
    from ledger import operations as ledger  # noqa: PLC0415
    from ledger import queries as books  # noqa: PLC0415
    from ledger.operations import AccountKey  # noqa: PLC0415

    people.trade(SETTLED)
    started = time.monotonic()
    assert trading.operations.settle_due(now=clock.now()) == SETTLED
    ours = SETTLED / (time.monotonic() - started)
    first = people.trade(SETTLED)
    accounts = {
        "fees": ledger.open_accounts(keys=[AccountKey(None, books.usd().pk, "fees")])[0],
        "dollar": books.usd().pk,
        "share": people.instrument.asset_id,
    }
    trades = {"first_trade": first.pk, "first_hold": first.buy_order.hold_id}
    facts = {**people.newest, **accounts, **trades, "turn": -1, "clients": 1}
    theirs = pgbench.run(pgbench.SETTLE, clients=1, variables=facts, transactions=SETTLED)
    return {
        "per_second": round(ours),
        "pgbench": round(theirs),
        "it / pgbench": round(ours / theirs, 2),
        "peak_mb": round(bed.peak_mb()),
    }


def main() -> None:
    """Print the table, or the rows where somebody asks for them."""
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(rows()))
        return
    sys.stdout.write(table(measure()) + "\n")


if __name__ == "__main__":
    main()
