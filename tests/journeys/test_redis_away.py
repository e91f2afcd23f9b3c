"""Redis forgets everything, or is away for a while: slower, nothing lost, and /healthz says so."""

import os
import time
import uuid

import redis

from tests.journeys import crowd
from tests.journeys.mobile import Phone
from tests.proof import Proof

AWAY_S = min(30.0, float(os.environ.get("SECONDS", "8")))
FLUSHES = 6
CUSTOMERS = 3


def test_redis_may_forget_everything(platform, dice):
    proof = Proof(platform.database, platform.manage)
    valkey = redis.Redis(unix_socket_path=str(platform.home / "run/valkey.sock"))
    with crowd.trading(platform, count=CUSTOMERS, seed=dice.seeded_by) as told:
        for _ in range(FLUSHES):
            enough = len(told.orders) + dice.randint(1, 4)
            platform.wait_for(lambda enough=enough: len(told.orders) >= enough)
            valkey.flushall()
        platform.wait_until_well()
    proof.holds(told)


def test_redis_may_be_away(platform, dice):
    proof = Proof(platform.database, platform.manage)
    with crowd.trading(platform, count=CUSTOMERS, seed=dice.seeded_by) as told:
        platform.wait_for(lambda: len(told.orders) >= CUSTOMERS)
        with platform.without_valkey(), Phone(platform, "crowd0@demo.test") as phone:
            back = time.monotonic() + AWAY_S
            assert platform.health()["redis"] == "failed"
            assert not platform.is_well()
            phone.sign_in()
            order = buy_at_market(phone)
            done = phone.wait_until_final(order["id"])  # by the engine's own look
            assert done["status"] == "filled"
            before = len(told.orders)
            platform.wait_for(lambda: len(told.orders) >= before + CUSTOMERS)
            platform.wait_for(lambda: time.monotonic() >= back, seconds=AWAY_S + 1)
        platform.wait_until_well(seconds=120)
        told.accepted(order["client_order_id"], order["id"])
    proof.holds(told)


def buy_at_market(phone: Phone) -> dict[str, str]:
    return phone.order(
        instrument="AAPLx",
        side="buy",
        type="market",
        notional="20",
        client_order_id=uuid.uuid4().hex,
    )
