"""How soon an engine leads again that has many orders resting on its books.

`python -m bench.restart` lets orders rest on every book, on real servers and a home of its own, and
starts `manage.py run_engine` beside them: the time from the start of the process until it shows the
first book, which it does when all orders are back in their queues. Python's own start is in it.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.__main__ import table
from bench.stand.apart import rows_of
from common import clock

ROOT = Path(__file__).resolve().parent.parent
SIZES = (0, 10_000, 100_000)
STARTS = 3
SEED = 7
PATIENCE_S = 120
OURS = {"hold": None, "venue": "book", "type": "limit"}


def measure() -> list[dict[str, Any]]:
    """Run in a process of its own, on a home of its own, and give its rows."""
    return rows_of("restart")


def rows() -> list[dict[str, Any]]:
    """Measure each size; Django is set up here and not before."""
    import django  # noqa: PLC0415

    django.setup()
    from bench.stand import bed  # noqa: PLC0415

    with bed.servers():
        found = []
        clear()
        start()  # lists the books
        for size in SIZES:
            rest(size)
            seconds, cpu, peak_mb = min(start() for _ in range(STARTS))
            row = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mb": peak_mb}
            found.append({"resting": size, **row})
        clear()
    for row in found:
        row["cpu for orders"] = round(row["cpu_seconds"] - found[0]["cpu_seconds"], 2)
    return found


def rest(size: int) -> None:
    """Bring Alice's resting orders to a number, as the engine would have written them."""
    import msgspec  # noqa: PLC0415

    from instruments.models import Instrument  # noqa: PLC0415
    from ledger import queries as books  # noqa: PLC0415
    from trading.engine import OrderState  # noqa: PLC0415
    from trading.models import Order, Shard  # noqa: PLC0415
    from users.models import User  # noqa: PLC0415

    alice = User.objects.get(email="alice@demo.test")
    account = next(account.pk for account in books.customer_accounts(alice))
    instruments = list(Instrument.objects.order_by("id"))
    shard = Shard.objects.get()
    rng = random.Random(SEED)  # noqa: S311 - a repeatable one is wanted
    first = (Order.objects.order_by("-id").values_list("id", flat=True).first() or 0) + 1
    orders = []
    for number in range(size - Order.objects.filter(**OURS).count()):
        instrument = rng.choice(instruments)
        side, away = rng.choice(("buy", "sell")), rng.randint(1, 150)
        state = OrderState(first + number, alice.pk, instrument.pk, side, "limit")
        state.price = 30_000 - away if side == "buy" else 30_000 + away
        state.quantity = state.remaining = rng.randint(1, 50) * 10**6
        state.budget = state.quantity if side == "sell" else state.quantity * state.price // 9_000
        state.priority = shard.priority + number + 1
        state.opened_at = shard.time_us
        price = instrument.tick_size * state.price
        orders.append(
            Order(
                pk=state.id,
                customer=alice,
                instrument=instrument,
                side=side,
                type="limit",
                quantity=state.quantity,
                limit_price=price,
                worst_price=price,
                maker_rate=0,
                taker_rate=0,
                cash_account_id=account,
                token_account_id=account,
                placed_at=clock.now(),
                status="open",
                budget=state.budget,
                engine_state=msgspec.to_builtins(state),
            )
        )
    Order.objects.bulk_create(orders, batch_size=2_000)
    Shard.objects.update(priority=shard.priority + len(orders))


def clear() -> None:
    """Take Alice's orders off again; what is written here takes longer than the app may."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("SET transaction_timeout = 0")
        cursor.execute("SET idle_in_transaction_session_timeout = 0")
        cursor.execute(
            "DELETE FROM trading_order WHERE hold_id IS NULL AND venue = 'book' AND type = 'limit'"
        )


def start() -> tuple[float, float, int]:
    """Start an engine, and stop it.

    :returns: seconds until it shows a book, its CPU seconds by then, its peak memory in MB
    """
    from common import realtime  # noqa: PLC0415

    with realtime.connection().pubsub() as ear:
        ear.subscribe(realtime.MARKET_CHANNEL)
        ear.get_message(timeout=1)
        began = time.monotonic()
        engine = subprocess.Popen([sys.executable, "manage.py", "run_engine"], cwd=ROOT)
        try:
            while b'"kind":"book"' not in heard(ear):
                if time.monotonic() - began > PATIENCE_S:
                    raise TimeoutError("the engine shows no book")
            seconds = time.monotonic() - began
            status = Path(f"/proc/{engine.pid}/status").read_text()
            spent = Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        finally:
            engine.terminate()
            engine.wait()
    [peak_kb] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    cpu = sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
    return seconds, cpu, peak_kb // 1024


def heard(ear: Any) -> bytes:
    """Give what was said on the market's channel, or nothing for a second."""
    message = ear.get_message(ignore_subscribe_messages=True, timeout=1)
    return bytes(message["data"]) if message else b""


def main() -> None:
    """Print the table, or the rows where the bench asks."""
    if sys.argv[1:] == ["rows"]:
        sys.stdout.write(json.dumps(rows()))
        return
    sys.stdout.write(table(measure()) + "\n")


if __name__ == "__main__":
    main()
