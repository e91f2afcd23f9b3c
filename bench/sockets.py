"""What a socket costs: beside bare ASGI, and beside Channels as its tutorial has it.

`python -m bench.sockets` runs the real engine on real servers, and one web process with 500 and
then 2,000 sockets of another process on it. Every socket follows one book, which the engine changes
ten times a second: the time from its commit to the socket, beside that of `/echo`, which hands the
same bytes of the same Valkey to everybody. Then as many trades as it takes in, on many symbols,
beside `group_send`; memory for each socket; and private events, of which none may be missing.
"""

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.__main__ import table
from bench.stand.apart import rows_of

ROOT = Path(__file__).resolve().parent.parent
CROWDS = (500, 2_000)
CHANGES = 60  # of the book, for each crowd
PAUSE_S = {500: 0.1, 2_000: 0.3}
BROADCASTS = 200
BROADCAST_SOCKETS = 500
PRIVATE_EVENTS = 40
PRIVATE_SOCKETS = 200
SYMBOL = "AAPLx"


def measure() -> list[dict[str, Any]]:
    """Run in a process of its own, on a home of its own, and give its rows."""
    return rows_of("sockets")


def rows() -> list[dict[str, Any]]:
    """Measure all; Django is set up here and not before."""
    import django  # noqa: PLC0415

    django.setup()
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from krakapp import embedded  # noqa: PLC0415

    postgres = embedded.Postgres(settings.HOME, settings.RUN)
    valkey = embedded.Valkey(settings.HOME, settings.RUN)
    with embedded.running(settings.HOME, settings.RUN, postgres, valkey):
        call_command("prepare", stdout=sys.stderr)
        found = [latency(path, crowd) for crowd in CROWDS for path in ("/ws/v2", "/echo")]
        for ours, bare in zip(found[::2], found[1::2], strict=True):
            ours["p50 / bare p50"] = round(ours["p50_ms"] / bare["p50_ms"], 2)
        ours, plain = broadcast_hub(), broadcast_groups()
        ours["deliveries / group_send's"] = round(ours["deliveries_s"] / plain["deliveries_s"], 1)
        return [*found, ours, plain, private()]


class House:
    """A book of the real engine that changes when told."""

    def __init__(self) -> None:
        """Become the engine of the only shard, on a connection that nobody has left idle."""
        from django.db import connections  # noqa: PLC0415

        import instruments.queries  # noqa: PLC0415
        from trading import operations  # noqa: PLC0415
        from trading.operations import log  # noqa: PLC0415

        connections.close_all()
        bench = self

        class Watched(operations.Engine):
            """Notes when each batch was committed: that is when it announces it."""

            def _announce(self, *args: Any) -> None:
                bench.committed = time.monotonic_ns() // 1_000
                super()._announce(*args)

            def _now_us(self) -> int:
                now = super()._now_us()
                bench.said = log.moment(now).isoformat()  # last of all, the book's time
                return now

        operations.list_books(shard_name="main")
        self.engine = Watched("main")
        self.instrument = instruments.queries.by_symbol(SYMBOL)
        self.committed, self.said = 0, ""
        self.size = time.time_ns() % 10**6  # another one than the run before ended with
        self.change()

    def change(self) -> tuple[bytes, int]:
        """Quote the book anew; give the time it says, and when that was committed (in us)."""
        from common import clock  # noqa: PLC0415
        from trading import operations  # noqa: PLC0415

        self.size += 1
        bids = [(27_840 - level, 10**8 + self.size) for level in range(5)]
        asks = [(27_860 + level, 10**8 + self.size) for level in range(5)]
        quote = operations.HouseQuote(self.instrument, bids, asks)
        operations.quote_books(quotes=[quote], now=clock.now())
        while self.engine.run_batch():
            pass
        return self.said.encode(), self.committed


@contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """Run one web process; give its port and its pid."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uvicorn = [sys.executable, "-m", "uvicorn", "bench.stand.sockets:application"]
    options = [
        "--port",
        str(port),
        "--timeout-keep-alive",
        "300",
        "--log-level",
        "critical",
        "--ws-per-message-deflate",
        "false",
    ]
    process = subprocess.Popen([*uvicorn, *options], cwd=ROOT, stdout=sys.stderr)  # noqa: S603
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def answers(port: int) -> bool:
    """Tell whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def memory_kb(pid: int) -> int:
    """Say how much memory a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def subscription(channel: str, symbols: list[str]) -> str:
    """Write a request as a browser does."""
    params = {"channel": channel, "symbol": [f"{symbol}/USD" for symbol in symbols]}
    return json.dumps({"method": "subscribe", "params": params})


def latency(path: str, crowd: int) -> dict[str, Any]:
    """Change the book while a crowd follows it: from the engine's commit to each socket."""
    from bench.stand.listeners import Listeners  # noqa: PLC0415

    request = ("", subscription("book", [SYMBOL]))
    with serving() as (port, pid):
        one = Listeners(port, path, [request])  # what the first socket brings is not theirs
        before = memory_kb(pid)
        listeners = Listeners(port, path, [request] * crowd)
        memory = memory_kb(pid) - before
        house, commits = House(), {}
        for _ in range(CHANGES):
            said, committed = house.change()
            commits[said] = committed
            time.sleep(PAUSE_S[crowd])
        heard = listeners.heard((CHANGES + 1) * crowd)  # the house's own first quote as well
        one.heard(0)
        for group in (listeners, one):
            group.close()
    delays = sorted((at - commits[said]) / 1_000 for said, at in heard.updates if said in commits)
    return {
        "what": f"commit to socket, {path}",
        "sockets": crowd,
        "p50_ms": round(statistics.median(delays), 2),
        "p99_ms": round(delays[len(delays) * 99 // 100], 2),
        "conflated": round(1 - len(delays) / (CHANGES * crowd), 3),
        "missing": heard.lines_cut,
        "kb_a_socket": round(memory / crowd, 1),
    }


def broadcast_hub() -> dict[str, Any]:
    """Publish trades as fast as Redis takes them; a socket hears each, one message a trade."""
    import instruments.queries  # noqa: PLC0415
    from common import realtime  # noqa: PLC0415

    symbols = list(instruments.queries.listed().values_list("symbol", flat=True))

    def publish(number: int) -> None:
        realtime.publish_market(
            {
                "kind": "trade",
                "symbol": symbols[number % len(symbols)],
                "trade_id": f"bench-{time.monotonic_ns()}",
                "side": "buy",
                "price": "278.50",
                "quantity": "1.00000000",
                "time": f"{number}",
            }
        )

    return broadcast("/ws/v2", subscription("trade", symbols), publish)


def broadcast_groups() -> dict[str, Any]:
    """Send to the group as fast as it takes them, with a message of the same length."""
    from asgiref.sync import async_to_sync  # noqa: PLC0415
    from channels.layers import get_channel_layer  # noqa: PLC0415

    from bench.stand.sockets import GROUP  # noqa: PLC0415
    from market.consumers import protocol  # noqa: PLC0415

    layer = get_channel_layer()

    def publish(number: int) -> None:
        trade = {"symbol": "AAPLx/USD", "side": "buy", "price": 278.5, "qty": 1.0}
        data = [{**trade, "trade_id": f"bench-{time.monotonic_ns()}", "timestamp": f"{number}"}]
        text = protocol.encode({"channel": "trade", "type": "update", "data": data})
        async_to_sync(layer.group_send)(GROUP, {"type": "tell", "text": text})

    return broadcast("/group", "hello", publish)


def broadcast(path: str, request: str, publish: Callable[[int], None]) -> dict[str, Any]:
    """Say as much as goes out, and see how much arrives in what time."""
    from bench.stand.listeners import Listeners  # noqa: PLC0415

    wanted = BROADCASTS * BROADCAST_SOCKETS
    with serving() as (port, _):
        listeners = Listeners(port, path, [("", request)] * BROADCAST_SOCKETS)
        began = time.monotonic_ns() // 1_000
        for number in range(BROADCASTS):
            publish(number)
        heard = listeners.heard(wanted)
        listeners.close()
    return {
        "what": f"broadcast, {path}",
        "sockets": BROADCAST_SOCKETS,
        "deliveries_s": round(heard.items / ((heard.last_at - began) / 1e6)),
        "missing": wanted - heard.items + heard.lines_cut,
    }


def private() -> dict[str, Any]:
    """Tell customers their own events, each on a socket of their own: all must arrive."""
    from bench.stand.listeners import Listeners  # noqa: PLC0415
    from common import realtime  # noqa: PLC0415

    request = json.dumps({"method": "subscribe", "params": {"channel": "notifications"}})
    people = customers(PRIVATE_SOCKETS)
    with serving() as (port, _):
        listeners = Listeners(
            port,
            "/ws/v2/private",
            [
                (f"Origin: http://127.0.0.1:{port}\r\nCookie: sessionid={session}\r\n", request)
                for _, session in people
            ],
        )
        began = time.monotonic_ns() // 1_000
        for number in range(PRIVATE_EVENTS):
            event = {"time": f"{number}"}
            realtime.send_private([(user, "notifications", event) for user, _ in people])
        heard = listeners.heard(PRIVATE_EVENTS * len(people))
        listeners.close()
    return {
        "what": "private events",
        "sockets": len(people),
        "deliveries_s": round(heard.items / ((heard.last_at - began) / 1e6)),
        "missing": PRIVATE_EVENTS * len(people) - heard.items + heard.lines_cut,
    }


def customers(count: int) -> list[tuple[int, str]]:
    """Sign so many people in; give their ids and their sessions' keys."""
    from django.contrib.auth import (  # noqa: PLC0415
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
    )
    from django.contrib.sessions.backends.db import SessionStore  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    from users.models import User  # noqa: PLC0415

    connections.close_all()  # the server ends what is idle
    found = []
    for number in range(count):
        user, _ = User.objects.get_or_create(email=f"socket-{number}@bench.test")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        found.append((user.pk, str(session.session_key)))
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["rows"]:
        sys.stdout.write("\n" + json.dumps(rows()) + "\n")
    else:
        sys.stdout.write(table(measure()) + "\n")
