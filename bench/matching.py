"""The matching core beside two others: LightMatchingEngine from PyPI, and a bare one below.

`python -m bench.matching` gives all of them the same limit orders and cancels (fixed seed, 10,000
resting first, about 300 price levels; then half adds, 40 % cancels, 10 % crossing) and checks that
they end in the same book. Each runs in a process of its own, for its peak memory; CPU time counts,
the best of three runs.
"""

import heapq
import json
import random
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.__main__ import table

SEED = 7
RESTING = 10_000
COMMANDS = 200_000
MIDDLE = 30_000
REACH = 150
ROUNDS = 3
PEER = "lightmatchingengine==2019.1.4"
PEER_HOME = Path(__file__).resolve().parent.parent / "var/bench/site"

# order, side, price, quantity; a cancel is the order alone.
Command = tuple[int, str, int, int] | tuple[int]
Levels = dict[int, int]
Run = Callable[[list[Command], list[Command]], tuple[float, Levels, Levels]]


def workload() -> list[Command]:
    """Return the resting orders and then the measured commands."""
    rng = random.Random(SEED)  # noqa: S311 - a repeatable one is wanted
    commands: list[Command] = []
    live: list[int] = []

    def add(*, crossing: bool) -> None:
        order = len(commands) + 1
        side = rng.choice(("buy", "sell"))
        away = -REACH if crossing else rng.randint(1, REACH)
        price = MIDDLE - away if side == "buy" else MIDDLE + away
        quantity = rng.randint(1, 100 if crossing else 50) * 10**6
        commands.append((order, side, price, quantity))
        if not crossing:
            live.append(order)

    for _ in range(RESTING):
        add(crossing=False)
    for _ in range(COMMANDS):
        roll = rng.random()
        if 0.5 <= roll < 0.9:
            index = rng.randrange(len(live))
            live[index], live[-1] = live[-1], live[index]
            commands.append((live.pop(),))
        else:
            add(crossing=roll >= 0.9)
    return commands


class BareCore:
    """Price-time priority and nothing else: no budgets, fees, owners, outcomes or checks."""

    def __init__(self) -> None:
        self.orders: dict[int, list[int]] = {}
        self.sides: tuple[dict[int, deque[list[int]]], dict[int, deque[list[int]]]] = ({}, {})
        self.best: tuple[list[int], list[int]] = ([], [])

    def add(self, order: int, side: str, price: int, quantity: int) -> list[tuple[int, int, int]]:
        """Match, then rest; prices are kept negated for bids, so that the best is the smallest."""
        buying = side == "buy"
        other, heap, limit = (1, self.best[1], price) if buying else (0, self.best[0], -price)
        levels, trades = self.sides[other], []
        while quantity and heap and heap[0] <= limit:
            queue = levels.get(heap[0])
            while queue and quantity:
                maker = queue[0]
                taken = min(quantity, maker[1])
                maker[1] -= taken
                quantity -= taken
                if taken:
                    trades.append((maker[0], heap[0], taken))
                if not maker[1]:
                    queue.popleft()
                    self.orders.pop(maker[0], None)
            if not queue:
                levels.pop(heapq.heappop(heap), None)
        if quantity:
            own, key = (0, -price) if buying else (1, price)
            entry = self.orders[order] = [order, quantity]
            queue = self.sides[own].get(key)
            if queue is None:
                self.sides[own][key] = deque((entry,))
                heapq.heappush(self.best[own], key)
            else:
                queue.append(entry)
        return trades

    def cancel(self, order: int) -> None:
        """Leave the entry in its queue with nothing to give."""
        entry = self.orders.pop(order, None)
        if entry is not None:
            entry[1] = 0

    def levels(self, side: int) -> Levels:
        """Return quantity by price."""
        sums = {abs(k): sum(e[1] for e in queue) for k, queue in self.sides[side].items()}
        return {price: quantity for price, quantity in sums.items() if quantity}


def run_bare(opening: list[Command], measured: list[Command]) -> tuple[float, Levels, Levels]:
    """Time the bare core."""
    core = BareCore()

    def run(commands: list[Command]) -> None:
        for command in commands:
            if len(command) == 4:
                core.add(*command)
            else:
                core.cancel(command[0])

    run(opening)
    seconds = timed(lambda: run(measured))
    return seconds, core.levels(0), core.levels(1)


def run_peer(opening: list[Command], measured: list[Command]) -> tuple[float, Levels, Levels]:
    """Time LightMatchingEngine; cancelling what is filled is an assertion there."""
    sys.path.append(str(PEER_HOME))
    from lightmatchingengine.lightmatchingengine import (  # type: ignore[import-not-found]  # noqa: PLC0415
        LightMatchingEngine,
        Side,
    )

    core, ids = LightMatchingEngine(), {}
    sides = {"buy": Side.BUY, "sell": Side.SELL}

    def run(commands: list[Command]) -> None:
        for command in commands:
            if len(command) == 4:
                order, side, price, quantity = command
                ids[order] = core.add_order("A", price, quantity, sides[side])[0].order_id
                continue
            try:
                core.cancel_order(ids[command[0]], "A")
            except AssertionError:
                continue

    run(opening)
    seconds = timed(lambda: run(measured))
    book = core.order_books["A"]
    bids, asks = (
        {price: sum(order.leaves_qty for order in queue) for price, queue in side.items()}
        for side in (book.bids, book.asks)
    )
    return seconds, bids, asks


def run_engine(opening: list[Command], measured: list[Command]) -> tuple[float, Levels, Levels]:
    """Time the engine on commands that have been read, as the others get theirs."""
    return run_ours(opening, measured, from_json=False)


def run_engine_json(
    opening: list[Command], measured: list[Command]
) -> tuple[float, Levels, Levels]:
    """Time the engine on the log's JSON, reading and checking each payload included."""
    return run_ours(opening, measured, from_json=True)


def run_ours(
    opening: list[Command], measured: list[Command], *, from_json: bool
) -> tuple[float, Levels, Levels]:
    """Time the engine."""
    from trading.engine import Engine, ShardState, read  # noqa: PLC0415 - not in the others' memory

    engine = Engine(ShardState())
    listing = {"instrument": 1, "tick_num": 1, "tick_den": 100, "multiplier_e18": 10**18}
    engine.apply(1, 1, "instrument", listing)
    log = [payload_of(command) for command in (*opening, *measured)]
    commands = [] if from_json else [read(kind, payload) for kind, payload in log]

    def run(start: int, end: int) -> None:
        for number in range(start, end):
            if from_json:
                kind, payload = log[number]
                engine.apply(number + 2, number + 2, kind, payload)
            else:
                engine.execute(number + 2, number + 2, commands[number])

    run(0, len(opening))
    seconds = timed(lambda: run(len(opening), len(log)))
    view = engine.book(1, 10**6)
    return seconds, dict(view.bids), dict(view.asks)


def payload_of(command: Command) -> tuple[str, str]:
    """Return the command as the log has it, with all that a customer's order carries."""
    if len(command) == 1:
        return "cancel", json.dumps({"order": command[0]})
    order, side, price, quantity = command
    cost = -(-quantity * price * 1001 // (10**4 * 1000))
    payload: dict[str, Any] = {
        "order": order,
        "owner": order,  # strangers all: the others know no self-trade prevention
        "instrument": 1,
        "side": side,
        "type": "limit",
        "price": price,
        "quantity": quantity,
        "notional": None,
        "budget": quantity if side == "sell" else cost,
        "maker_ppm": -200,
        "taker_ppm": 1000,
        "tif": "gtc",
        "expires_at": None,
        "post_only": False,
        "reduce_only": False,
        "stp": "cancel_oldest",
    }
    return "place", json.dumps(payload)


def timed(work: Callable[[], None]) -> float:
    """Return the CPU seconds of some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


CONTENDERS: dict[str, Run] = {
    "engine": run_engine,
    "engine from JSON": run_engine_json,
    "bare core": run_bare,
    "lightmatchingengine": run_peer,
}


def contend(name: str) -> dict[str, Any]:
    """Run one contender in this process and return what it took and where it ended."""
    commands = workload()
    seconds, bids, asks = CONTENDERS[name](commands[:RESTING], commands[RESTING:])
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    book = [sorted(side.items()) for side in (bids, asks)]
    return {"per_second": COMMANDS / seconds, "peak_mb": peak_kb / 1024, "book": book}


def measure() -> list[dict[str, Any]]:
    """Run all contenders by turns and return a row for each, ratios to the engine included."""
    fetch_peer()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, results in runs.items():
            command = [sys.executable, "-m", "bench.matching", name]
            child = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - ourselves
            if child.returncode == 0:
                results.append(json.loads(child.stdout))
    best = {n: max(r, key=lambda run: run["per_second"]) for n, r in runs.items() if r}
    ours = best["engine"]
    return [
        {
            "what": name,
            "per_second": round(run["per_second"]),
            "engine / it": round(ours["per_second"] / run["per_second"], 2),
            "peak_mb": round(run["peak_mb"]),
            "same_book": run["book"] == ours["book"],
        }
        for name, run in best.items()
    ]


def fetch_peer() -> None:
    """Put LightMatchingEngine where only this benchmark finds it; without it its row is missing."""
    if not PEER_HOME.exists():
        install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(PEER_HOME), PEER]
        subprocess.run(install, check=False)  # noqa: S603 - fixed arguments


def main() -> None:
    """Print the table, or one contender's result where one is named."""
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(contend(sys.argv[1])))
        return
    sys.stdout.write(table(measure()) + "\n")


if __name__ == "__main__":
    main()
