"""Any process killed at any moment, many times, while customers trade: nothing is lost or doubled.

`make soak` does the same for longer: SECONDS and SEED choose how long, and which dice.
"""

import os
import random
import time

from tests.journeys import crowd
from tests.journeys.conftest import Platform
from tests.proof import Proof, Told

SECONDS = float(os.environ.get("SECONDS", "25"))
CUSTOMERS = 4
MOST_ORDERS = 8  # that are accepted between two strikes
LONGEST_S = 5.0  # that passes between two strikes, accepted or not

# How often each is hit. Of a name with "any", one of the processes it started is.
TARGETS = {
    "engine": 4,
    "web": 2,
    "any web": 2,
    "worker": 2,
    "any worker": 2,
    "valkey": 2,
    "postgres": 2,
    "any postgres": 2,  # one backend: the server then restarts all of them
    "liquidity": 1,
    "feed": 1,
    "beat": 1,
    "power": 1,
}


def strike(platform: Platform, dice: random.Random, target: str) -> None:
    """Kill what the name says; where it is away already, it stays so for a moment."""
    kind, _, name = target.rpartition(" ")
    if target == "power":
        platform.lose_power()
        platform.start()
    elif kind == "any":
        if members := platform.members(name):
            platform.hit(dice.choice(sorted(members)))
    elif pid := platform.pid(name):
        platform.hit(pid)


def strike_many(platform: Platform, dice: random.Random, told: Told, seconds: float) -> list[str]:
    """Strike again and again, the power last, and say what was hit."""
    struck = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        let_trade(told, dice)
        struck += dice.choices(list(TARGETS), list(TARGETS.values()))
        strike(platform, dice, struck[-1])
    strike(platform, dice, "power")
    return [*struck, "power"]


def let_trade(told: Told, dice: random.Random) -> None:
    """Let some orders through, or some time, and stop at no particular moment."""
    enough = len(told.orders) + dice.randint(0, MOST_ORDERS)
    latest = time.monotonic() + LONGEST_S
    while len(told.orders) < enough and time.monotonic() < latest:
        time.sleep(0.02)
    time.sleep(dice.random())


def test_kills_at_random_moments_cost_nothing(platform, dice):
    proof = Proof(platform.database, platform.manage)
    with crowd.trading(platform, count=CUSTOMERS, seed=dice.seeded_by) as told:
        platform.wait_for(lambda: len(told.orders) >= CUSTOMERS)
        struck = strike_many(platform, dice, told, SECONDS)
        platform.wait_until_well(seconds=120)
        before = len(told.orders)
        platform.wait_for(lambda: len(told.orders) >= before + CUSTOMERS, seconds=120)
    print(f"struck {struck}\n{len(told.orders)} orders, {told.repeated} requests repeated")  # noqa: T201
    proof.holds(told)
