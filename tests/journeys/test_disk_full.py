"""The disk is full: orders are refused for now, what was accepted stands, and it recovers."""

import os
import time
import uuid

import httpx

from tests.journeys import crowd
from tests.journeys.conftest import Platform
from tests.journeys.mobile import Phone
from tests.proof import Proof

FULL_S = min(30.0, float(os.environ.get("SECONDS", "5")))
CUSTOMERS = 3
SOME = 20


def test_a_full_disk_refuses_and_loses_nothing(platform, dice):
    proof = Proof(platform.database, platform.manage)
    with crowd.trading(platform, count=CUSTOMERS, seed=dice.seeded_by) as told:
        platform.wait_for(lambda: len(told.orders) >= CUSTOMERS)
        with Phone(platform, "crowd0@demo.test") as phone:
            phone.sign_in()
            try:
                fill_until_refused(platform, phone)
                stay_full(platform)
            finally:
                platform.disk.free()
        platform.wait_until_well(seconds=180)
        before = len(told.orders)
        platform.wait_for(lambda: len(told.orders) >= before + CUSTOMERS, seconds=120)
    proof.holds(told)


def fill_until_refused(platform: Platform, phone: Phone) -> None:
    """Keep the disk full and go on placing, until that fails the way it should."""

    def refused() -> bool:
        platform.disk.fill()
        answer = place_some(phone)
        if answer is None or answer.status_code < 400:
            return False
        assert answer.headers["Content-Type"] == "application/problem+json", answer.text
        assert (answer.status_code, answer.json()["code"]) == (503, "Unavailable")
        return True

    platform.wait_for(refused, seconds=180)


def stay_full(platform: Platform) -> None:
    """Leave it so for a while; whoever is started again meanwhile finds no room either."""
    until = time.monotonic() + FULL_S

    def over() -> bool:
        platform.disk.fill()
        return time.monotonic() > until

    platform.wait_for(over, seconds=FULL_S + 60)


def place_some(phone: Phone) -> httpx.Response | None:
    """Place orders that are gone as soon as the engine saw them; None if no answer came."""
    terms = {"instrument": "AAPLx", "side": "buy", "type": "limit", "quantity": "0.02"}
    terms |= {"limit_price": "100.00", "time_in_force": "ioc"}
    orders = [{**terms, "client_order_id": uuid.uuid4().hex} for _ in range(SOME)]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    try:
        return phone.http.post("/api/v1/orders/batch", json={"orders": orders}, headers=headers)
    except httpx.HTTPError:
        return None
