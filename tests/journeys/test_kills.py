"""A kill -9 of any process in the middle of the day costs nothing."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.journeys.mobile import Phone

PROCESSES = ("web", "engine", "worker", "beat", "feed", "liquidity", "valkey", "postgres")
EACH_SIDE = 6  # orders answered before the kill, and after it
PACE_S = 0.05
REFUSALS = {"MarketSilent", "PriceStale"}  # what may honestly be answered while a process is away


class Trader:
    """Somebody who goes on trading, and asks again with the same key where no answer came."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.accepted: list[str] = []
        self.wrong: list[str] = []
        self.stopping = threading.Event()

    def trade(self) -> None:
        """Place market and resting orders in turn until told to stop."""
        reference = Decimal(self.phone.get("instruments/AAPLx")["reference_price"])
        low = str(round(reference * Decimal("0.97"), 2))
        market = {"type": "market", "notional": "2"}
        resting = {"type": "limit", "quantity": "0.01", "limit_price": low}
        while not self.stopping.is_set():
            terms = resting if len(self.accepted) % 2 else market
            self.place({"instrument": "AAPLx", "side": "buy", **terms})
            self.stopping.wait(PACE_S)

    def place(self, terms: dict[str, Any]) -> None:
        key = uuid.uuid4().hex
        while not self.stopping.is_set():
            try:
                answer = self.phone.http.post(
                    "/api/v1/orders",
                    json={**terms, "client_order_id": key},
                    headers={"Idempotency-Key": key},
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 500 and answer.status_code != 409:
                self.note(answer)
                return
            self.stopping.wait(0.2)

    def note(self, answer: httpx.Response) -> None:
        body = answer.json()
        if answer.status_code == 201:
            self.accepted.append(body["id"])
        elif body.get("code") not in REFUSALS:
            self.wrong.append(answer.text)


@contextmanager
def trading(phone: Phone) -> Iterator[Trader]:
    trader = Trader(phone)
    thread = threading.Thread(target=trader.trade)
    thread.start()
    try:
        yield trader
    finally:
        trader.stopping.set()
        thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def carol(platform):
    with Phone(platform, "carol@demo.test") as carol:
        carol.sign_in()
        yield carol


@pytest.mark.parametrize("name", PROCESSES)
def test_the_kill_of_a_process_costs_nothing(platform, carol, name):
    before = {asset: carol.balance(asset)["total"] for asset in ("USD", "AAPLx")}
    with trading(carol) as trader:
        platform.wait_for(lambda: len(trader.accepted) >= EACH_SIDE)
        platform.kill(name)
        platform.wait_until_well(seconds=90)
        so_far = len(trader.accepted)
        platform.wait_for(lambda: len(trader.accepted) >= so_far + EACH_SIDE, seconds=90)
    assert trader.wrong == []
    ends_as_promised(carol, trader.accepted)
    adds_up(carol, trader.accepted, before)
    assert platform.manage("audit_books")


def ends_as_promised(carol: Phone, accepted: list[str]) -> None:
    """Every order that was accepted is there once, and done: filled, or cancelled as asked."""
    assert len(set(accepted)) == len(accepted)
    carol.call("DELETE", "orders", expect=202)
    for order_id in accepted:
        order = carol.wait_until_final(order_id)
        assert order["status"] in {"filled", "cancelled"}, order
    carol.wait_for(lambda: not carol.get("orders?status=open")["results"])


def adds_up(carol: Phone, accepted: list[str], before: dict[str, str]) -> None:
    """What she has is what she had, and her trades; nothing is left set aside."""
    everything = "trades?limit=500"
    carol.wait_for(lambda: all("settled_at" in one for one in carol.get(everything)["results"]))
    carol.wait_for(lambda: Decimal(carol.balance()["held"]) == 0)
    trades = [one for one in carol.get(everything)["results"] if one["order_id"] in accepted]
    paid = sum(Decimal(one["cost"]) + Decimal(one["fee"]) for one in trades)
    got = sum(Decimal(one["quantity"]) for one in trades)
    assert Decimal(carol.balance()["total"]) == Decimal(before["USD"]) - paid
    assert Decimal(carol.balance("AAPLx")["total"]) == Decimal(before["AAPLx"]) + got
