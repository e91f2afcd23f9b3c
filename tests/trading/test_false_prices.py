"""What is written into Redis is for eyes: no order, collar, mark, quote or card sale goes by it."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction

import trading.operations
from common import realtime
from market import queries as market
from market.models import ReferencePrice
from tests import world
from tests.spending import shop
from trading import queries
from trading.models import Command, Order, Trade

if TYPE_CHECKING:
    from tests.trading.floor import Floor

FALSE = ["1.00", "139.25", "300.00", "27850.00"]


@pytest.fixture
def lie(floor: "Floor") -> Callable[[str], None]:
    """Let somebody who can write into Redis say another price, vouched for just now."""

    def tell(price: str) -> None:
        redis, at = realtime.connection(), world.NOW.isoformat()
        entry = json.dumps({"price": price, "time": at})
        redis.hset(market.REFERENCE_KEY, floor.instrument.symbol, entry)
        redis.set(market.FEED_KEY, json.dumps({"time": at, "simulated": True, "doubted": []}))

    return tell


@pytest.mark.parametrize("false", FALSE)
class TestAKeyInRedisMovesNoMoney:
    def test_no_collar_and_no_market_order(
        self, floor: "Floor", lie: Callable[[str], None], false: str
    ) -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        before = queries.collars(floor.instrument, now=world.NOW)
        lie(false)
        shown = market.tickers([floor.instrument])[floor.instrument.symbol]
        assert shown.reference_price == Decimal(false)
        assert queries.collars(floor.instrument, now=world.NOW) == before
        order = floor.place(alice, "buy", quantity="1")
        assert order.worst_price == before[1]

    def test_no_quote_of_the_house_and_so_no_card_sale(
        self, floor: "Floor", lie: Callable[[str], None], false: str
    ) -> None:
        world.stock_house(floor.instrument, shares="10000", dollars="5000000")
        desk = trading.operations.Desk()
        desk.step(now=world.NOW)
        floor.run()
        before = queries.standing_quote(floor.instrument, "buy", now=world.NOW)
        assert before
        lie(false)
        desk.step(now=world.NOW)
        trading.operations.Desk().step(now=world.NOW)
        floor.run()
        after = queries.standing_quote(floor.instrument, "buy", now=world.NOW)
        assert after
        assert after.levels == before.levels

    def test_no_mark_and_so_no_stop(
        self, floor: "Floor", lie: Callable[[str], None], false: str
    ) -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        world.give(alice, floor.instrument, "10")
        for kind, trigger in (("stop-loss", "250"), ("take-profit", "290")):
            floor.ask(alice, "sell", kind, quantity="1", trigger="index", trigger_price=trigger)
        floor.run()
        lie(false)
        floor.engine.tell_marks(now=world.NOW)
        floor.run()
        told = Command.objects.filter(kind="mark").values_list("payload", flat=True)
        assert list(told) == [{"prices": {str(floor.instrument.pk): 27850}}]
        assert {order.status for order in Order.objects.all()} == {"open"}

    def test_no_sale_for_a_card(
        self, floor: "Floor", lie: Callable[[str], None], false: str
    ) -> None:
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "50"))
        card = shop.card(alice, ("AAPLx", "0"))
        lie(false)
        assert shop.authorize(card, "200")["decision"] == "approved"
        assert Trade.objects.latest("id").price == Decimal("278.40")

    def test_no_hedge(self, floor: "Floor", lie: Callable[[str], None], false: str) -> None:
        carol = world.carol()
        world.stock_house(floor.instrument)
        world.give(carol, floor.instrument, "40")
        trading.operations.trade_with_house(
            customer=carol,
            instrument=floor.instrument,
            side="sell",
            quantity=40 * 10**8,
            price=Decimal("278.20"),
            now=world.NOW,
            key="card:1",
        )
        lie(false)
        trading.operations.hedge_dealer(now=world.NOW)
        hedge = Order.objects.filter(customer=None, venue="book").latest("id")
        assert hedge.limit_price == Decimal("278.50")
        assert not Trade.objects.filter(venue="book").exists()


class TestThePriceThatMoneyGoesBy:
    def test_is_none_of_the_future(self, floor: "Floor") -> None:
        ReferencePrice.objects.update(at=world.NOW + timedelta(seconds=10))
        with pytest.raises(queries.PriceStale):
            queries.fresh_reference(floor.instrument, now=world.NOW)
        later = world.NOW + timedelta(seconds=9)
        assert queries.fresh_reference(floor.instrument, now=later) == Decimal("278.50")

    @pytest.mark.parametrize("price", ["0", "-1", "NaN"])
    def test_is_none_that_cannot_be(self, floor: "Floor", price: str) -> None:
        statement = "UPDATE market_referenceprice SET price = %s::numeric"
        with (
            pytest.raises(IntegrityError, match="reference_price_possible"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, [price])
