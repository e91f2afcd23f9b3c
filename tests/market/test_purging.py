"""How long the market's past is kept."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from common import database
from market import operations
from market.models import Candle, TapeTrade
from tests import world

pytestmark = pytest.mark.django_db

NOW = world.NOW
DAY = timedelta(days=1)


def candle(interval, age, kind="reference"):
    prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(1))
    return Candle.objects.create(
        instrument=world.instrument(), kind=kind, interval=interval, time=NOW - age, **prices
    )


def trade(age, symbol="AAPLx"):
    return TapeTrade.objects.create(
        uid=uuid4(),
        instrument=world.instrument(symbol),
        price=1,
        quantity=1,
        side="buy",
        at=NOW - age,
    )


class TestForgetPrices:
    @pytest.mark.parametrize(
        ("interval", "days"), [("1m", 35), ("5m", 190), ("15m", 400), ("1h", 1100)]
    )
    def test_lets_short_candles_go_after_their_time(self, interval, days):
        candle(interval, (days + 1) * DAY)
        candle(interval, (days + 1) * DAY, kind="tape")
        kept = candle(interval, (days - 1) * DAY)
        assert operations.forget_prices(now=NOW) == 2
        assert list(Candle.objects.all()) == [kept]

    @pytest.mark.parametrize("interval", ["4h", "1d", "1w"])
    def test_keeps_long_candles_for_good(self, interval):
        candle(interval, 9999 * DAY)
        assert operations.forget_prices(now=NOW) == 0

    def test_lets_the_old_tape_go_but_for_each_last_price(self):
        trade(120 * DAY)
        apple, tesla = trade(91 * DAY), trade(100 * DAY, "TSLAx")
        assert operations.forget_prices(now=NOW) == 1
        assert set(TapeTrade.objects.all()) == {apple, tesla}
        young = trade(DAY)
        assert operations.forget_prices(now=NOW) == 1
        assert set(TapeTrade.objects.all()) == {young, tesla}


class TestBatches:
    def test_go_on_until_nothing_is_left(self):
        for days in range(7):
            trade(days * DAY)
        gone = database.delete_in_batches("market_tapetrade", "t.at <= %s", [NOW], at_once=3)
        assert (gone, TapeTrade.objects.count()) == (7, 0)
