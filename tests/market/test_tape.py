from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import instruments.operations
import instruments.queries
from common import realtime
from common.invariants import find_breaks
from market import operations, queries
from market.models import Candle, TapeTrade
from tests import world

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _soon_after(monkeypatch):
    """Stop the clock a few days later: what is kept is all there."""
    monkeypatch.setattr("common.clock.now", lambda: NOON + timedelta(days=3))


@pytest.fixture
def apple():
    instruments.operations.load_instruments()
    return instruments.queries.by_symbol("AAPLx")


def trade(instrument, price, quantity="1", *, after_s=0, side="buy"):
    return TapeTrade(
        uid=uuid4(),
        instrument=instrument,
        price=Decimal(price),
        quantity=Decimal(quantity),
        side=side,
        at=NOON + timedelta(seconds=after_s),
    )


def candle(instrument, interval):
    return Candle.objects.get(instrument=instrument, kind="tape", interval=interval)


class TestRecordTrades:
    def test_makes_a_candle_of_every_interval(self, apple):
        trades = [
            trade(apple, "278.50", "0.5", after_s=1),
            trade(apple, "279.00", "1", after_s=2),
            trade(apple, "278.00", "0.25", after_s=50),
        ]
        assert operations.record_trades(trades=trades) == 3
        for interval in ("1m", "5m", "15m", "1h", "4h", "1d", "1w"):
            made = candle(apple, interval)
            assert (made.open, made.high, made.low, made.close) == (
                Decimal("278.5"),
                279,
                278,
                278,
            )
            assert (made.volume, made.trades) == (Decimal("1.75"), 3)
            assert made.turnover == Decimal("487.75")
        assert candle(apple, "1w").time == datetime(2026, 11, 16, tzinfo=UTC)

    def test_counts_a_trade_once_however_often_it_is_told(self, apple):
        trades = [trade(apple, "278.50"), trade(apple, "279.00", after_s=3)]
        operations.record_trades(trades=trades)
        again = [*trades, trade(apple, "280.00", after_s=5)]
        assert operations.record_trades(trades=again) == 1
        assert candle(apple, "1m").trades == 3

    def test_opens_with_the_earliest_trade_though_it_was_settled_last(self, apple):
        operations.record_trades(trades=[trade(apple, "279.00", after_s=30)])
        operations.record_trades(trades=[trade(apple, "278.00", after_s=2)])
        made = candle(apple, "1m")
        assert (made.open, made.close) == (278, 279)

    def test_takes_the_same_queries_for_many(self, apple, django_assert_num_queries):
        with django_assert_num_queries(3):
            operations.record_trades(trades=[trade(apple, "1", after_s=n) for n in range(300)])

    def test_takes_none(self):
        assert operations.record_trades(trades=[]) == 0

    def test_the_last_price_is_known_after_the_commit(
        self, apple, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            operations.record_trades(
                trades=[trade(apple, "279.00", after_s=9), trade(apple, "278.00", after_s=2)]
            )
        assert b"279.00" in realtime.connection().hget(queries.LAST_KEY, "AAPLx")


class TestChecks:
    def breaks(self):
        return [found.detail for found in find_breaks(queries.CHECKS)]

    def test_candles_of_the_tape_pass(self, apple):
        operations.record_trades(
            trades=[trade(apple, "278.123456", f"0.{n:08}", after_s=n * 40) for n in range(1, 30)]
        )
        assert self.breaks() == []

    @pytest.mark.parametrize("days", [34, 36, 89, 91, 300])
    def test_candles_pass_when_the_past_was_let_go(self, apple, monkeypatch, days):
        operations.record_trades(trades=[trade(apple, "278.50", after_s=n) for n in (0, 90, 9000)])
        later = NOON + timedelta(days=days)
        monkeypatch.setattr("common.clock.now", lambda: later)
        operations.forget_prices(now=later)
        assert self.breaks() == []
        operations.record_trades(trades=[trade(apple, "9.00", after_s=days * 86_400 - 60)])
        assert self.breaks() == []
        Candle.objects.filter(interval="1m", open=9).update(volume=2)
        assert len(self.breaks()) == 1

    def test_a_planted_volume_is_named(self, apple):
        operations.record_trades(trades=[trade(apple, "278.50")])
        Candle.objects.filter(interval="5m").update(volume=2)
        (found,) = self.breaks()
        assert "5m" in found
        assert "2.00000000 shares" in found

    def test_a_missing_candle_is_named(self, apple):
        operations.record_trades(trades=[trade(apple, "278.50")])
        Candle.objects.filter(interval="1d").delete()
        assert len(self.breaks()) == 1

    def test_a_candle_without_trades_is_named(self, apple):
        operations.record_trades(trades=[trade(apple, "278.50")])
        TapeTrade.objects.all().delete()
        assert len(self.breaks()) == 7


class TestSplits:
    """World's split comes two days after `world.NOW`, a Friday: on a Sunday of the same week."""

    SPLIT = world.NOW + timedelta(days=2)

    @staticmethod
    def at(instrument, price, quantity, moment):
        row = trade(instrument, price, quantity)
        row.at = moment
        return row

    @pytest.fixture
    def apple(self):
        apple = world.instrument()
        old = self.at(apple, "400.00", "1.5", self.SPLIT - timedelta(days=20))
        of_this_week = [
            self.at(apple, "410.02", "0.12345678", self.SPLIT - timedelta(hours=hours))
            for hours in (30, 31)
        ]
        operations.record_trades(trades=[old, *of_this_week])
        return apple

    def shown(self, instrument, **options):
        rows = queries.tape_views(instrument, queries.tape(instrument), **options)
        return [(f"{row.price:f}", f"{row.quantity:f}") for row in rows]

    def test_older_trades_are_shown_in_new_shares(self, apple):
        world.split(apple, 4)
        week = ("102.505000", "0.49382712")
        assert self.shown(apple) == [week, week, ("100.00000000", "6.00000000")]

    def test_older_trades_are_given_raw(self, apple):
        before = self.shown(apple)
        world.split(apple, 4)
        raw = self.shown(apple, adjusted=False)
        assert [(Decimal(p), Decimal(q)) for p, q in raw] == [
            (Decimal(p), Decimal(q)) for p, q in before
        ]

    @pytest.mark.parametrize("to", [4, 3, 7])
    def test_candles_of_the_week_are_still_the_tape(self, apple, to):
        world.split(apple, to)
        assert Candle.objects.filter(kind="tape", interval="1h").count() == 3
        assert list(find_breaks(queries.CHECKS)) == []

    def test_what_was_traded_before_and_settled_after_counts_alike(self, apple):
        world.split(apple, 4)
        late = self.at(apple, "410.02", "0.12345678", self.SPLIT - timedelta(hours=29))
        operations.record_trades(trades=[late])
        assert len(set(self.shown(apple)[:3])) == 1
        assert list(find_breaks(queries.CHECKS)) == []

    def test_what_is_traded_after_counts_as_it_is(self, apple):
        world.split(apple, 4)
        operations.record_trades(trades=[self.at(apple, "102.50", "1", self.SPLIT)])
        assert self.shown(apple)[0] == ("102.500000", "1.00000000")
        assert self.shown(apple, adjusted=False)[0] == ("102.500000", "1.00000000")

    def test_an_instrument_read_before_the_split_does_not_know_it(self, apple):
        before = world.instrument()
        world.split(apple, 4)
        line = instruments.queries.timelines([before])[before.pk]
        assert (line.now, line.changes) == (1, ())

    def test_api_gives_both(self, apple, client):
        world.split(apple, 4)
        rows = client.get("/api/v1/instruments/AAPLx/trades?limit=2").json()["results"]
        assert (rows[0]["price"], rows[0]["quantity"]) == ("102.50", "0.49382712")
        page = client.get("/api/v1/instruments/AAPLx/trades?limit=2&adjusted=false").json()
        assert (page["results"][0]["price"], page["results"][0]["quantity"]) == (
            "410.02",
            "0.12345678",
        )
        assert "adjusted=false" in page["next"]


moves = st.lists(
    st.tuples(st.integers(1, 99_999), st.integers(1, 10**12), st.integers(0, 20_000)),
    min_size=1,
    max_size=12,
)


class TestAnyOrder:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(moves=moves, split=st.integers(0, 12))
    def test_candles_equal_the_tape_however_it_was_cut_into_batches(self, apple, moves, split):
        TapeTrade.objects.all().delete()
        Candle.objects.all().delete()
        trades = [
            trade(apple, Decimal(price) / 100, Decimal(base).scaleb(-8), after_s=second)
            for price, base, second in moves
        ]
        operations.record_trades(trades=trades[split:])
        operations.record_trades(trades=trades[:split])
        assert list(find_breaks(queries.CHECKS)) == []
