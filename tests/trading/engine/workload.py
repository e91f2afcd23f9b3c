"""Random but sensible commands for a small market in which everybody meets everybody."""

from fractions import Fraction
from math import ceil
from random import Random
from typing import Any

from tests.trading.engine.naive import NaiveExchange

TICK = {"tick_num": 1, "tick_den": 100, "multiplier_e18": 10**18}
MIDDLE = 1000
STATES = [
    *["online"] * 12,
    "cancel_only",
    "post_only",
    "limit_only",
    "reduce_only",
    "maintenance",
    "delisted",
]
HOUSE = {1: (9_000_001, 9_000_002), 2: (9_000_003, 9_000_004)}


class Workload:
    """Writes the next command from a seed and what the naive exchange says is open."""

    def __init__(self) -> None:
        self.placed = 0

    def opening(self) -> list[tuple[str, dict[str, Any]]]:
        odd = {"tick_num": 3, "tick_den": 700, "multiplier_e18": 1_001_701_196_801_074_000}
        return [("instrument", {"instrument": 1, **TICK}), ("instrument", {"instrument": 2, **odd})]

    def command(self, seed: int, world: NaiveExchange) -> tuple[str, dict[str, Any]]:
        random = Random(seed)  # noqa: S311 - a repeatable one is wanted
        roll = random.random()
        if roll < 0.60:
            return "place", self.place(random, world)
        if roll < 0.72:
            return "cancel", {"order": self.some_order(random, world)}
        if roll < 0.84:
            return "amend", self.amend(random, world)
        if roll < 0.94:
            return "quote", self.quote(random)
        return self.rare(random)

    def rare(self, random: Random) -> tuple[str, dict[str, Any]]:
        instrument = random.choice((1, 2))
        kinds = ("cancel_all", "state", "mark", "clock", "multiplier", "again")
        kind = random.choices(kinds, (20, 30, 15, 15, 5, 5))[0]
        if kind == "cancel_all":
            return kind, {"owner": random.randint(1, 4), "instrument": random.choice((None, 1, 2))}
        if kind == "state":
            return kind, {"instrument": instrument, "state": random.choice(STATES)}
        if kind == "mark":
            return kind, {"prices": {str(instrument): MIDDLE + random.randint(-8, 8)}}
        if kind == "multiplier":
            ratio = random.choice((10**18, 4 * 10**18, 1_001_701_196_801_074_000))
            return kind, {"instrument": instrument, "multiplier_e18": ratio}
        if kind == "again":
            return "instrument", {"instrument": instrument, **TICK}
        return kind, {}

    def place(self, random: Random, world: NaiveExchange) -> dict[str, Any]:
        self.placed += 1
        side = random.choice(("buy", "sell"))
        terms = {
            "order": self.placed,
            "owner": random.randint(1, 6),
            "instrument": random.choices((1, 2, 3), (80, 18, 2))[0],
            "side": side,
            "type": "market" if random.random() < 0.15 else "limit",
            "price": MIDDLE + random.randint(-8, 8),
            "maker_ppm": random.choice((-200, 0, 300)),
            "taker_ppm": random.choice((0, 1000, 2500)),
            "stp": random.choice(("cancel_newest", "cancel_oldest", "cancel_both")),
        }
        if terms["type"] == "limit":
            terms |= self.flags(random, world)
        return terms | self.size(random, world, terms)

    def flags(self, random: Random, world: NaiveExchange) -> dict[str, Any]:
        roll = random.random()
        if roll < 0.2:
            return {"tif": random.choice(("ioc", "fok"))}
        flags: dict[str, Any] = {"post_only": roll > 0.85, "reduce_only": 0.8 < roll < 0.85}
        if roll > 0.7:
            flags |= {"tif": "gtd", "expires_at": max(1, world.at + random.randint(-2, 60))}
        return flags

    def size(self, random: Random, world: NaiveExchange, terms: dict[str, Any]) -> dict[str, Any]:
        market = world.markets.get(terms["instrument"], world.markets[1])
        worth = terms["price"] * market.worth
        quantity = random.choices((random.randint(1, 30), random.randint(1, 60) * 10**6), (15, 85))[
            0
        ]
        need = quantity * worth
        budget = quantity
        size: dict[str, Any] = {"quantity": quantity}
        if random.random() < 0.25:
            size = {"notional": max(1, ceil(need) - random.randint(0, 1))}
            budget += random.randint(0, 2) * 10**6
        if terms["side"] == "buy":
            fee = Fraction(max(terms["maker_ppm"], terms["taker_ppm"]), 10**6)
            budget = ceil(need * (1 + fee))
        if random.random() < 0.05:
            budget = max(0, budget - random.randint(1, 1000))
        return size | {"budget": budget}

    def some_order(self, random: Random, world: NaiveExchange) -> int:
        if world.orders and random.random() < 0.95:
            return random.choice(world.orders).id
        return random.randint(1, self.placed + 1)

    def amend(self, random: Random, world: NaiveExchange) -> dict[str, Any]:
        command: dict[str, Any] = {"order": self.some_order(random, world)}
        old = next((o for o in world.orders if o.id == command["order"]), None)
        quantity = old.quantity if old is not None else None
        if random.random() < 0.6:
            base = quantity or 50
            command["quantity"] = max(1, base * random.randint(1, 13) // 10)
        if random.random() < 0.5:
            command["price"] = MIDDLE + random.randint(-8, 8)
        if random.random() < 0.6:
            command["budget_increase"] = random.randint(0, 10**8)
        return command

    def quote(self, random: Random) -> dict[str, Any]:
        instrument = random.choice((1, 1, 2))
        middle = MIDDLE + random.randint(-4, 4)
        bid, ask = HOUSE[instrument]
        command: dict[str, Any] = {"instrument": instrument, "bid_order": bid, "ask_order": ask}
        for name, sign in (("bids", -1), ("asks", 1)):
            price, levels = middle, []
            for _ in range(random.randint(0, 4)):
                price += sign * random.randint(1, 3)
                levels.append([price, random.randint(1, 40) * 10 ** random.choice((0, 6, 6))])
            command[name] = levels
        if random.random() < 0.5:
            command["bid_budget_increase"] = random.randint(0, 10**9)
            command["ask_budget_increase"] = random.randint(0, 10**8)
        return command
