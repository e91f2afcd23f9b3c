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
MULTIPLIERS = (10**18, 4 * 10**18, 1_001_701_196_801_074_000)
HOUSE = {1: (9_000_001, 9_000_002), 2: (9_000_003, 9_000_004)}


class Workload:
    """Writes the next command from a seed and what the naive exchange says is open."""

    def __init__(self) -> None:
        self.placed = 0

    def opening(self) -> list[tuple[str, dict[str, Any]]]:
        odd = {"tick_num": 3, "tick_den": 700, "multiplier_e18": 1_001_701_196_801_074_000}
        return [("instrument", {"instrument": 1, **TICK}), ("instrument", {"instrument": 2, **odd})]

    def command(self, seed: int, world: NaiveExchange) -> tuple[str, dict[str, Any]]:
        random = Random(seed)
        roll = random.random()
        if roll < 0.58:
            return "place", self.place(random, world)
        if roll < 0.68:
            return "cancel", {"order": self.some_order(random, world)}
        if roll < 0.80:
            return "amend", self.amend(random, world)
        if roll < 0.88:
            return "quote", self.quote(random, world)
        if roll < 0.94:
            named = str(random.choice((1, 1, 2, 3)))
            return "mark", {"prices": {named: MIDDLE + random.randint(-8, 8)}}
        return self.rare(random, world)

    def rare(self, random: Random, world: NaiveExchange) -> tuple[str, dict[str, Any]]:
        instrument = random.choice((1, 2))
        kinds = {
            "cancel_all": 15,
            "state": 30,
            "clock": 15,
            "confirm": 20,
            "multiplier": 5,
            "again": 5,
            "cancel_all_after": 20,
            "band": 15,
            "hours": 15,
        }
        kind = random.choices(list(kinds), list(kinds.values()))[0]
        owner = random.randint(1, 6)
        payloads: dict[str, dict[str, Any]] = {
            "cancel_all": {"owner": owner, "instrument": random.choice((None, 1, 2))},
            "cancel_all_after": {"owner": owner, "timeout_us": random.randint(0, 40)},
            "state": {"instrument": instrument, "state": random.choice(STATES)},
            "multiplier": {"instrument": instrument, "multiplier_e18": random.choice(MULTIPLIERS)},
            "again": {"instrument": instrument, **TICK},
            "band": {
                "instrument": instrument,
                "band_ppm": random.choice((None, 2000, 4000)),
                "band_after_us": 4,
                "pause_us": 20,
            },
            "hours": {"instruments": [instrument, 3], "spans": self.spans(random, world)},
            "clock": {},
            "confirm": {
                "until": max(1, world.at + random.randint(-1, 30)),
                "withdrawn": random.choice(([], [], [1], [2, 3])),
            },
        }
        return "instrument" if kind == "again" else kind, payloads[kind]

    def spans(self, random: Random, world: NaiveExchange) -> list[list[int]] | None:
        """Return an hour or two of trading with little between, some of it past, or any hour."""
        if random.random() < 0.5:
            return None
        turns = [world.at + random.randint(-60, 5)]
        for most in (80, 10, 80, 10, 80)[: random.choice((1, 3, 5))]:
            turns.append(turns[-1] + random.randint(1, most))
        return [
            [max(1, a), max(2, b)] for a, b in zip(turns[::2], turns[1::2], strict=True) if b > 1
        ]

    def place(self, random: Random, world: NaiveExchange) -> dict[str, Any]:
        self.placed += 1
        side = random.choice(("buy", "sell"))
        terms = {
            "order": self.placed * 40_009 % 100_003,  # ids do not grow with the sequence
            "owner": random.randint(0, 6),  # the house's dealer hedges
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
            terms |= random.choices((Workload.plain, Workload.iceberg, Workload.stop), (6, 2, 3))[
                0
            ](random, terms)
        terms |= self.size(random, world, terms)
        if random.random() < 0.2:
            terms["deadline"] = max(1, world.at + random.randint(-1, 9))
        if random.random() < 0.2:
            terms["multiplier_e18"] = self.counted_by(random, world, terms["instrument"])
        if terms["type"] == "iceberg":
            terms["display"] = -(-terms["quantity"] // random.randint(1, 15))
        return terms

    @staticmethod
    def plain(random: Random, terms: dict[str, Any]) -> dict[str, Any]:
        return {"close": {"type": "stop-loss"}} if random.random() < 0.1 else {}

    @staticmethod
    def iceberg(random: Random, terms: dict[str, Any]) -> dict[str, Any]:
        return {"type": "iceberg"}

    @staticmethod
    def stop(random: Random, terms: dict[str, Any]) -> dict[str, Any]:
        """Return a trigger, mostly one that has not been reached yet."""
        kind = random.choice(("stop-loss", "take-profit", "trailing-stop"))
        limited = terms.get("post_only") or random.random() < 0.5
        away = random.randint(-1, 6) * (1 if terms["side"] == "buy" else -1)
        stop: dict[str, Any] = {
            "type": f"{kind}-limit" if limited else kind,
            "trigger": random.choice(("last", "last", "mark")),
        }
        if kind == "trailing-stop":
            unit = random.choice(("ticks", "ppm"))
            trail = random.randint(1, 6)
            stop |= {"trail_unit": unit, "trail": trail if unit == "ticks" else trail * 1000}
            stop |= {"limit_offset": random.randint(-3, 3)} if limited else {}
        else:
            stop["trigger_price"] = MIDDLE + (away if kind == "stop-loss" else -away)
            if kind == "stop-loss" and random.random() < 0.4:
                stop["take_profit_price"] = MIDDLE - away
        worst = 6 if terms["side"] == "buy" else -6
        return stop | ({"price": MIDDLE + worst} if random.random() < 0.5 else {})

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
        if terms["type"] != "iceberg" and random.random() < 0.25:
            size = {"notional": max(1, ceil(need) - random.randint(0, 1))}
            budget += random.randint(0, 2) * 10**6
        if terms["side"] == "buy":
            fee = Fraction(max(terms["maker_ppm"], terms["taker_ppm"]), 10**6)
            budget = ceil(need * (1 + fee))
        if random.random() < 0.05:
            budget = max(0, budget - random.randint(1, 1000))
        return size | {"budget": budget}

    def counted_by(self, random: Random, world: NaiveExchange, instrument: int) -> int:
        """Return the multiplier in force, mostly."""
        if instrument in world.markets and random.random() < 0.9:
            return world.markets[instrument].multiplier
        return random.choice(MULTIPLIERS)

    def some_order(self, random: Random, world: NaiveExchange) -> int:
        if world.orders and random.random() < 0.95:
            return random.choice(world.orders).id
        return random.randint(1, self.placed + 1) * 40_009 % 100_003

    def amend(self, random: Random, world: NaiveExchange) -> dict[str, Any]:
        command: dict[str, Any] = {"order": self.some_order(random, world)}
        old = next((o for o in world.orders if o.id == command["order"]), None)
        quantity = old.quantity if old is not None else None
        if random.random() < 0.6:
            base = quantity or 50
            command["quantity"] = max(1, base * random.randint(1, 13) // 10)
        if random.random() < 0.5:
            command["price"] = MIDDLE + random.randint(-8, 8)
        if random.random() < 0.2:
            command["trigger_price"] = MIDDLE + random.randint(-8, 8)
        if random.random() < 0.6:
            command["budget_increase"] = random.randint(0, 10**8)
        return command

    def quote(self, random: Random, world: NaiveExchange) -> dict[str, Any]:
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
        if random.random() < 0.2:
            command["multiplier_e18"] = self.counted_by(random, world, instrument)
        command["until"] = max(1, world.at + random.randint(-1, 40))
        if random.random() < 0.5:
            command["bid_budget_increase"] = random.randint(0, 10**9)
            command["ask_budget_increase"] = random.randint(0, 10**8)
        return command
