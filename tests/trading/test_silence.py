"""Nothing is queued for who does not answer, and it says so in words; cancels always go."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client

import trading.operations
from common import heartbeats
from tests import world
from trading.models import Order
from trading.operations.acceptance import MarketSilent
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

LIMIT = {"quantity": "1", "limit_price": "270"}
ENGINE = "engine:main"


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


def last_heard(part: str, ago: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_heartbeat SET at = clock_timestamp() - %s::interval WHERE part = %s",
            [ago, part],
        )


class TestASilentPart:
    @pytest.mark.parametrize("part", [ENGINE, "feed", "settler"])
    def test_keeps_market_orders_away(self, floor: "Floor", alice: User, part: str) -> None:
        last_heard(part, "3 seconds")
        with pytest.raises(MarketSilent, match="Nothing was placed") as refused:
            floor.place(alice, "buy", notional="25")
        assert refused.value.facts == {"part": part.split(":", maxsplit=1)[0]}
        assert not Order.objects.filter(customer=alice).exists()
        assert world.available(alice) == 10_000

    def test_keeps_all_new_orders_away_if_it_is_the_engine(
        self, floor: "Floor", alice: User
    ) -> None:
        last_heard(ENGINE, "3 seconds")
        with pytest.raises(MarketSilent):
            floor.place(alice, "buy", **LIMIT)

    @pytest.mark.parametrize("part", ["feed", "settler", "liquidity"])
    def test_lets_an_order_wait_for_its_price(self, floor: "Floor", alice: User, part: str) -> None:
        last_heard(part, "1 hour")
        assert floor.place(alice, "buy", **LIMIT).status == "pending"

    def test_that_never_was_heard_is_silent(self, floor: "Floor", alice: User) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM common_heartbeat WHERE part = %s", [ENGINE])
        with pytest.raises(MarketSilent):
            floor.place(alice, "buy", **LIMIT)

    def test_is_heard_again_with_its_next_beat(self, floor: "Floor", alice: User) -> None:
        last_heard(ENGINE, "3 seconds")
        heartbeats.beat(ENGINE)
        assert floor.place(alice, "buy", **LIMIT).status == "pending"

    def test_keeps_no_cancel_away(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", **LIMIT)
        fresh = floor.place(alice, "buy", **LIMIT)
        floor.engine.run_batch(limit=1)
        last_heard(ENGINE, "1 hour")
        assert trading.operations.cancel_orders(customer=alice, now=world.NOW) == 2
        fresh.refresh_from_db()
        assert fresh.status == "cancelled"
        last_heard(ENGINE, "0 seconds")
        floor.run()
        order.refresh_from_db()
        assert order.status == "cancelled"

    def test_keeps_amendments_away_that_it_would_have_to_make(
        self, floor: "Floor", alice: User
    ) -> None:
        order = floor.place(alice, "buy", **LIMIT)
        last_heard(ENGINE, "1 hour")
        trading.operations.amend_order(order=order, quantity=Decimal(2), now=world.NOW)
        floor.run()
        order.refresh_from_db()
        assert (order.status, order.quantity) == ("open", 2 * 10**8)
        with pytest.raises(MarketSilent):
            trading.operations.amend_order(order=order, quantity=Decimal(3), now=world.NOW)

    def test_is_a_503_that_says_when_to_come_again(self, floor: "Floor", alice: User) -> None:
        last_heard("feed", "3 seconds")
        client = Client()
        client.force_login(alice)
        body = {"instrument": "AAPLx", "side": "buy", "type": "market", "notional": "25"}
        answer = client.post("/api/v1/orders", body, "application/json")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["code"] == "MarketSilent"
        assert "No new prices arrive" in answer.json()["detail"]
