"""Everything counts by the multiplier of its own time: a split moves no total by a cent."""

from datetime import timedelta
from decimal import Decimal

import pytest

import trading.operations
import trading.queries
from common import clock
from market import queries as market
from market.models import Candle, ReferencePrice
from market.rules import candles
from portfolio import queries
from tests import world
from tests.portfolio import desk
from trading.models import Order
from trading.views import words
from users.models import Notice

pytestmark = pytest.mark.django_db

LATER = timedelta(days=2)  # after the world's now, the split is done


@pytest.fixture
def alice(friday):
    """Alice bought an apple three days ago; a feed knows its price, then and now."""
    alice = world.alice()
    world.fund(alice, "10000")
    desk.trade(alice, "buy", "1", price="280", days=-3)
    desk.book()
    apple = world.instrument()
    desk.price(apple, "284", before="280")
    for days, close in ((-20, "240"), (-1, "280")):
        at = candles.begin("1d", world.NOW + timedelta(days=days))
        desk.candle(apple, "1d", at, close)
    return alice


def split(monkeypatch: pytest.MonkeyPatch, to: int = 4) -> None:
    monkeypatch.setattr(clock, "now", lambda: world.NOW + LATER)
    world.split(world.instrument(), to)


class TestASplit:
    def test_is_an_activity_of_who_held_then(self, alice, monkeypatch):
        split(monkeypatch)
        items = queries.page_of(alice, limit=9).items
        (item,) = (one for one in items if one.kind == "corporate_action")
        assert (item.title, item.detail) == ("Apple was split 4 for 1", "1 AAPLx became 4 AAPLx")
        assert item.amounts == [("AAPLx", 3)]
        desk.trade(alice, "sell", "1", price="71", days=3)  # in units of before: all 4
        (again,) = (i for i in queries.page_of(alice, limit=9).items if i.kind == item.kind)
        assert again == item
        bob = world.active("bob@demo.test")
        kinds = [one.kind for one in queries.page_of(bob, limit=9).items]
        assert item.kind not in kinds

    def test_is_told_once_to_who_held_then(self, alice, monkeypatch, client):
        split(monkeypatch)
        late = world.active("late@demo.test")
        world.fund(late, "1000")
        desk.trade(late, "buy", "1", price="71", days=3)
        told = [trading.operations.tell_of_actions(now=world.NOW + LATER) for _ in range(2)]
        assert told == [1, 0]
        notice = Notice.objects.get(kind="shares.changed")
        assert (notice.user, notice.title) == (alice, "Apple was split 4 for 1")
        client.force_login(alice)
        assert client.get(notice.url).status_code == 200

    def test_changes_no_total(self, alice, monkeypatch):
        before = queries.summary(alice, now=world.NOW)
        split(monkeypatch)
        after = queries.summary(alice, now=world.NOW + LATER)
        assert (after.total, after.unrealized) == (before.total, before.unrealized)
        (apple,) = after.positions
        assert (apple.quantity, apple.average_cost, apple.price) == (4, 70, 71)

    def test_leaves_orders_of_the_past_as_they_were(self, alice, monkeypatch):
        order = Order.objects.filter(customer=alice, side="buy").latest("id")
        said, facts = words.line(order).terms, trading.queries.describe_order(order)
        split(monkeypatch)
        order = Order.objects.get(pk=order.pk)
        line = words.line(order)
        assert line.terms == said == "1 AAPLx with the house"
        assert (line.filled, line.average) == (1, 280)
        assert trading.queries.describe_order(order) == facts

    def test_leaves_the_activity_of_the_past_as_it_was(self, alice, monkeypatch):
        def bought():
            items = queries.items_of(list(queries.activity_of(alice)), alice)
            (one,) = [item for item in items if item.kind == "buy"]
            return one.title, one.shares, one.cash

        before = bought()
        split(monkeypatch)
        assert bought() == before == ("Bought 1 AAPLx", 1, -280)

    def test_adjusts_the_prices_of_before(self, alice, monkeypatch):
        apple = world.instrument()
        raw = [one.close for one in market.candles(apple, "1d")]
        assert raw == [240, 280]
        split(monkeypatch)
        apple.refresh_from_db()
        assert [one.close for one in market.candles(apple, "1d")] == [60, 70]
        assert [one.close for one in market.candles(apple, "1d", adjusted=False)] == raw
        since = world.NOW - timedelta(days=30)
        assert [close for _, close in market.closes([apple], "1d", since)[apple.pk]] == [60, 70]

    def test_adjusts_the_volume_of_before_inversely(self, alice, monkeypatch):
        apple = world.instrument()
        at = candles.begin("1d", world.NOW - timedelta(days=20))
        Candle.objects.create(
            instrument=apple,
            kind="tape",
            interval="1d",
            time=at,
            open=240,
            high=240,
            low=240,
            close=240,
            volume=3,
            turnover=720,
        )
        split(monkeypatch)
        apple.refresh_from_db()
        assert market.candles(apple, "1d")[0].volume == 12
        assert market.candles(apple, "1d", adjusted=False)[0].volume == 3

    def test_is_no_fall_of_the_day(self, alice, monkeypatch):
        apple = world.instrument()
        now = world.NOW + LATER
        for hours, close in ((-30, "280"), (-20, "282")):
            at = candles.begin("1m", now + timedelta(hours=hours))
            for interval in ("1m", "15m"):
                desk.candle(apple, interval, candles.begin(interval, at), close)
        split(monkeypatch)
        apple.refresh_from_db()
        day = market.statistics([apple], now=now)[apple.symbol]
        assert (day.open, day.high, day.low) == (70, 71, 70)

    def test_keeps_what_a_period_earned(self, alice, monkeypatch):
        whole = queries.summary(alice, now=world.NOW)
        before = queries.value_history(alice, whole, period="1m", now=world.NOW)
        split(monkeypatch)
        whole = queries.summary(alice, now=world.NOW)
        after = queries.value_history(alice, whole, period="1m", now=world.NOW)
        assert [point.value for point in after.points] == [point.value for point in before.points]


class TestADividend:
    def test_is_earned_as_more_shares(self, alice, monkeypatch):
        """Five percent, reinvested: the price stays, the shares and the day's change grow."""
        from tests.trading.floor import Floor  # noqa: PLC0415

        floor = Floor(price="284")
        ReferencePrice.objects.update(day_open=284)
        now = world.NOW + LATER
        floor.propose_action(
            kind="dividend",
            event="A dividend",
            ratio_to=None,
            ratio_from=None,
            net_amount="14.20",
            reinvestment_price="284",
        )
        monkeypatch.setattr(clock, "now", lambda: now)
        floor.live_through(now)
        whole = queries.summary(alice, now=now)
        (apple,) = whole.positions
        assert (apple.quantity, apple.price) == (Decimal("1.05"), 284)
        assert whole.day_change == 14_200_000
        history = queries.value_history(alice, whole, period="1w", now=now)
        assert history.earned == 18_200_000  # with the four dollars that the price rose by
        assert ReferencePrice.objects.get().multiplier == Decimal("1.05")
