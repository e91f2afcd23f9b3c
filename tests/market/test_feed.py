import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

import instruments.operations
import instruments.queries
from common import realtime
from instruments.models import Instrument
from market import operations, queries
from market.models import Candle, ReferencePrice, TapeTrade
from market.operations import feed
from market.rules import candles, sessions, simulation
from market.rules.candles import Bar
from tests import world

pytestmark = pytest.mark.django_db

WEDNESDAY = datetime(2026, 11, 18, 12, 0, 30, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
NAMES = ("AAPLx", "ABBVx", "SPYx")


@pytest.fixture(autouse=True)
def _listed():
    """List three instruments: one trades at any hour, two on weekdays."""
    instruments.operations.load_instruments()
    Instrument.objects.exclude(symbol__in=NAMES).update(listed=False)
    Instrument.objects.filter(symbol="SPYx").update(hours="24/5")


@pytest.fixture(autouse=True)
def _short_past(monkeypatch):
    """Keep the past short: a week of days, three of quarters, two hours of minutes."""
    monkeypatch.setattr(simulation, "HISTORY", timedelta(days=8))
    monkeypatch.setattr(simulation, "FINE_HISTORY", timedelta(days=3))
    monkeypatch.setattr(simulation, "FINEST_HISTORY", timedelta(hours=2))


def begin(now):
    run = feed.start_feed(now=now)
    while run.fill_past():
        pass
    return run


def ticks(run, now, seconds):
    for second in range(1, seconds + 1):
        run.tick(now=now + timedelta(seconds=second))
    return now + timedelta(seconds=seconds)


def times(symbol, interval):
    rows = Candle.objects.filter(instrument__symbol=symbol, interval=interval, kind="reference")
    return list(rows.order_by("time").values_list("time", flat=True))


class TestAList:
    def test_that_changes_is_noticed_and_followed_from_its_prices(self):
        Instrument.objects.filter(symbol="ABBVx").update(listed=False)
        run = begin(WEDNESDAY)
        assert run.follows_what_is_listed()
        Instrument.objects.filter(symbol="ABBVx").update(listed=True)
        assert not run.follows_what_is_listed()
        run.stop(now=WEDNESDAY)
        run = begin(WEDNESDAY)
        assert run.follows_what_is_listed()
        run.tick(now=WEDNESDAY)
        assert queries.reference_price(instruments.queries.by_symbol("ABBVx")) is not None

    def test_may_be_empty(self):
        Instrument.objects.update(listed=False)
        run = begin(WEDNESDAY)
        assert run.tick(now=WEDNESDAY) == {}
        run.stop(now=WEDNESDAY)


class TestFirstStart:
    def test_prices_are_there_at_once_and_the_past_comes_between_the_ticks(self):
        run = feed.start_feed(now=WEDNESDAY)
        run.tick(now=WEDNESDAY)
        assert queries.reference_price(instruments.queries.by_symbol("AAPLx")) is not None
        assert not Candle.objects.filter(interval="1d").exists()
        assert [run.fill_past() for _ in range(4)] == [True, True, True, False]
        assert Candle.objects.filter(interval="1d").exists()

    def test_history_is_marked_as_simulated_and_ends_at_the_demo_price(self):
        begin(WEDNESDAY)
        assert not Candle.objects.filter(simulated=False).exists()
        last = Candle.objects.filter(instrument__symbol="AAPLx", interval="1m").latest("time")
        assert last.close == Decimal("278.5")

    def test_every_interval_is_rolled_up_from_the_one_below(self):
        begin(WEDNESDAY)
        for lower, upper in candles.LADDER:
            for candle in Candle.objects.filter(
                interval=upper, kind="reference", instrument__symbol="AAPLx"
            ).order_by("-time")[:3]:
                parts = list(
                    Candle.objects.filter(
                        interval=lower,
                        kind="reference",
                        instrument__symbol="AAPLx",
                        time__gte=candle.time,
                        time__lt=candle.time + candles.LENGTHS[upper],
                    ).order_by("time")
                )
                assert candle.open == parts[0].open
                assert candle.close == parts[-1].close
                assert candle.high == max(part.high for part in parts)
                assert candle.low == min(part.low for part in parts)

    def test_a_start_that_was_cut_off_goes_on(self):
        run = feed.start_feed(now=WEDNESDAY)
        run.tick(now=WEDNESDAY)
        run.fill_past()
        run = feed.start_feed(now=WEDNESDAY + timedelta(seconds=20))
        assert [run.fill_past() for _ in range(3)] == [True, True, False]
        with_past = Candle.objects.filter(interval="1d").values("instrument").distinct()
        assert with_past.count() == 3


class TestTicks:
    def test_publishes_only_what_changed(self):
        run = begin(WEDNESDAY)
        run.tick(now=WEDNESDAY)
        with realtime.connection().pubsub() as heard:
            heard.subscribe(realtime.MARKET_CHANNEL)
            heard.get_message(timeout=1)
            changed = run.tick(now=WEDNESDAY + timedelta(seconds=1))
            message = {}
            while message.get("kind") != "reference":
                raw = heard.get_message(timeout=1)
                assert raw is not None
                message = json.loads(raw["data"])
        assert message["prices"] == {symbol: f"{price:f}" for symbol, price in changed.items()}

    def test_says_by_which_multiplier_a_price_counts(self):
        world.split(instruments.queries.by_symbol("SPYx"), 2)
        begin(WEDNESDAY).tick(now=WEDNESDAY)
        entries = realtime.connection().hgetall(queries.REFERENCE_KEY)
        counted = {
            symbol.decode(): json.loads(raw)["multiplier"] for symbol, raw in entries.items()
        }
        assert {symbol: Decimal(one) for symbol, one in counted.items()} == {
            "AAPLx": 1,
            "ABBVx": 1,
            "SPYx": 2,
        }

    def test_vouches_for_all_prices_each_second(self):
        run = begin(SUNDAY)
        ticks(run, SUNDAY, 5)
        abbvie = queries.reference_price(instruments.queries.by_symbol("ABBVx"))
        assert abbvie.at == SUNDAY + timedelta(seconds=5)
        assert (abbvie.price, abbvie.simulated) == (Decimal("227.00"), True)

    def test_puts_back_what_redis_has_lost(self):
        run = begin(SUNDAY)
        run.tick(now=SUNDAY)
        realtime.connection().flushdb()
        ticks(run, SUNDAY, 16)
        assert realtime.connection().hlen(queries.REFERENCE_KEY) == 3
        assert realtime.connection().hlen(queries.DAY_KEY) == 3

    def test_gives_a_sign_of_life(self):
        begin(WEDNESDAY).tick(now=WEDNESDAY)
        assert realtime.is_alive("feed")

    def test_closes_each_minute_once_however_often_it_is_written(self):
        run = begin(WEDNESDAY)
        now = ticks(run, WEDNESDAY, 120)
        made = Candle.objects.count()
        run.stop(now=now)
        run._store_bars()
        assert Candle.objects.count() == made + 3  # the minute that was still forming
        assert times("AAPLx", "1m")[-3:] == [
            candles.begin("1m", WEDNESDAY) + timedelta(minutes=n) for n in range(3)
        ]

    def test_a_closed_session_makes_no_candle_and_no_move(self):
        run = begin(SUNDAY)
        ticks(run, SUNDAY, 150)
        assert times("AAPLx", "1m")[-1] > SUNDAY
        assert times("ABBVx", "1m")[-1] < datetime(2026, 11, 21, 1, tzinfo=UTC)

    def test_takes_the_same_queries_for_any_number_of_instruments(self, django_assert_num_queries):
        run = begin(WEDNESDAY)
        run.tick(now=WEDNESDAY)
        with django_assert_num_queries(1):  # prices
            run.tick(now=WEDNESDAY + timedelta(seconds=1))
        with django_assert_num_queries(12):  # multipliers, candles, six roll-ups, prices …
            run.tick(now=WEDNESDAY + timedelta(seconds=40))

    def test_a_silent_feed_publishes_nothing_and_shows_no_life(self, monkeypatch):
        run = begin(WEDNESDAY)
        monkeypatch.setattr(run._feed, "is_live", lambda now: False)
        realtime.connection().flushdb()
        assert run.tick(now=WEDNESDAY) == {}
        assert not realtime.is_alive("feed")
        assert not realtime.connection().exists(queries.FEED_KEY)


class TestDoubts:
    def test_a_doubted_price_grows_old_while_the_others_stay_fresh(self, monkeypatch):
        run = begin(WEDNESDAY)
        before = ticks(run, WEDNESDAY, 2)
        monkeypatch.setattr(run._feed, "doubted", lambda: {"AAPLx"})
        now = ticks(run, before, 20)
        listed = list(Instrument.objects.filter(symbol__in=NAMES))

        def told_at(symbol):
            """Say when the price was vouched for: what money goes by, what is shown, both."""
            shown = queries.tickers(listed)[symbol].at
            realtime.connection().flushdb()
            assert queries.tickers(listed)[symbol].at == shown
            assert queries.references(listed)[symbol].at == shown
            return shown

        assert told_at("AAPLx") == before
        assert told_at("SPYx") == now
        monkeypatch.setattr(run._feed, "doubted", set)
        now = ticks(run, now, 1)
        assert told_at("AAPLx") == now


class TestTheTable:
    def test_holds_the_price_of_each_second(self):
        run = begin(WEDNESDAY)
        for second in range(1, 20):
            now = WEDNESDAY + timedelta(seconds=second)
            run.tick(now=now)
            stored = ReferencePrice.objects.get(instrument__symbol="AAPLx")
            assert (stored.price, stored.at) == (run._prices["AAPLx"], now)

    @pytest.mark.parametrize("nonsense", ["0", "0.001", "-5", "10000000000"])
    def test_takes_no_price_that_cannot_be(self, monkeypatch, nonsense):
        run = begin(WEDNESDAY)
        now = ticks(run, WEDNESDAY, 2)
        before = ReferencePrice.objects.get(instrument__symbol="AAPLx").price
        monkeypatch.setattr(run._feed, "prices", lambda now: {"AAPLx": Decimal(nonsense)})
        ticks(run, now, 1)
        assert ReferencePrice.objects.get(instrument__symbol="AAPLx").price == before


class TestToldCandles:
    def test_are_stored_and_rolled_up_once_except_the_one_that_forms(self, monkeypatch):
        run = begin(WEDNESDAY)
        now = ticks(run, WEDNESDAY, 1)
        minute = candles.begin("1m", now)
        past = minute - timedelta(days=30, minutes=1)
        told = [Bar.at(past, Decimal(270)), Bar.at(minute, Decimal(999))]
        told[0].add(Decimal(272))
        monkeypatch.setattr(run._feed, "candles", lambda: {"AAPLx": told})
        before = Candle.objects.count()
        now = ticks(run, now, 1)
        of_apple = Candle.objects.filter(instrument__symbol="AAPLx", kind="reference")
        assert of_apple.get(interval="1m", time=past).high == 272
        assert of_apple.get(interval="5m", time=candles.begin("5m", past)).close == 272
        assert not of_apple.filter(high=999).exists()
        grown = Candle.objects.count() - before
        ticks(run, now, 1)
        assert Candle.objects.count() - before == grown


class TestRestart:
    def test_goes_on_from_the_last_price_and_leaves_no_gap(self):
        run = begin(WEDNESDAY)
        now = ticks(run, WEDNESDAY, 90)
        run.stop(now=now)
        price = ReferencePrice.objects.get(instrument__symbol="AAPLx").price
        later = now + timedelta(hours=1)
        run = begin(later)
        ticks(run, later, 60)
        minutes = times("AAPLx", "1m")
        assert all(b - a == timedelta(minutes=1) for a, b in itertools.pairwise(minutes))
        first = Candle.objects.get(
            instrument__symbol="AAPLx", interval="1m", time=candles.begin("1m", now) + timedelta(0)
        )
        assert abs(first.close - price) / price < Decimal("0.02")
        quarters = times("AAPLx", "15m")[-8:]
        assert all(b - a == timedelta(minutes=15) for a, b in itertools.pairwise(quarters))

    def test_invents_nothing_across_a_closed_weekend(self):
        friday = datetime(2026, 11, 20, 22, 0, 30, tzinfo=UTC)
        run = begin(friday)
        run.tick(now=friday)
        monday = datetime(2026, 11, 23, 2, 0, 30, tzinfo=UTC)
        begin(monday).tick(now=monday)
        for time in times("ABBVx", "1m"):
            assert sessions.is_open("24/5", time)
        assert times("ABBVx", "1m")[-1] == datetime(2026, 11, 23, 1, 59, tzinfo=UTC)


class TestTickers:
    @pytest.fixture
    def listed(self):
        begin(WEDNESDAY).tick(now=WEDNESDAY)
        return list(instruments.queries.listed())

    def test_ask_the_database_nothing_while_redis_knows(self, listed, django_assert_num_queries):
        with django_assert_num_queries(0):
            tickers = queries.tickers(listed)
        apple = tickers["AAPLx"]
        assert apple.reference_price == Decimal("278.50")
        assert apple.low_24h <= apple.reference_price <= apple.high_24h
        assert apple.change_24h_pct is not None
        assert (apple.state, apple.simulated, apple.last) == ("online", True, None)

    def test_come_from_the_tables_when_redis_is_empty(self, listed, django_assert_num_queries):
        known = queries.tickers(listed)["AAPLx"]
        realtime.connection().flushdb()
        with django_assert_num_queries(3):
            stored = queries.tickers(listed)["AAPLx"]
        assert stored.reference_price == known.reference_price
        assert stored.simulated

    def test_pair_no_price_of_before_a_split_with_what_is_held_after_it(self, listed, monkeypatch):
        monkeypatch.setattr("common.clock.now", lambda: WEDNESDAY)
        apple = instruments.queries.by_symbol("AAPLx")
        stale = realtime.connection().hget(queries.REFERENCE_KEY, "AAPLx")
        before = queries.tickers(listed)["AAPLx"]
        world.split(apple, 4)
        assert realtime.connection().hget(queries.REFERENCE_KEY, "AAPLx") == stale
        after = queries.tickers([apple])["AAPLx"]
        assert abs(after.reference_price * 4 - before.reference_price) <= Decimal("0.02")
        assert abs(after.high_24h * 4 - before.high_24h) <= Decimal("0.04")
        assert abs(after.change_24h_pct - before.change_24h_pct) < Decimal("0.05")

    def test_give_nobody_who_read_the_old_multiplier_the_new_price(self, listed):
        old = instruments.queries.by_symbol("AAPLx")
        world.split(instruments.queries.by_symbol("AAPLx"), 4)
        realtime.connection().hdel(queries.REFERENCE_KEY, "AAPLx")
        assert queries.tickers([old])["AAPLx"].reference_price is None

    def test_give_the_last_trade_of_before_a_split_in_new_shares(
        self, listed, django_capture_on_commit_callbacks
    ):
        apple = instruments.queries.by_symbol("AAPLx")
        traded = TapeTrade(
            uid=uuid4(), instrument=apple, price=Decimal(400), quantity=1, side="buy", at=WEDNESDAY
        )
        with django_capture_on_commit_callbacks(execute=True):
            operations.record_trades(trades=[traded])
        stale = realtime.connection().hget(queries.LAST_KEY, "AAPLx")
        with django_capture_on_commit_callbacks(execute=True):
            world.split(apple, 4)
        entry = json.loads(realtime.connection().hget(queries.LAST_KEY, "AAPLx"))
        assert (Decimal(entry["price"]), Decimal(entry["multiplier"])) == (100, 4)
        realtime.connection().hset(queries.LAST_KEY, "AAPLx", stale)
        assert queries.tickers([apple])["AAPLx"].last == 100

    def test_fill_in_what_redis_has_lost(self, listed):
        realtime.connection().hdel(queries.REFERENCE_KEY, "ABBVx")
        tickers = queries.tickers(listed)
        assert tickers["ABBVx"].reference_price == Decimal("227.00")
        assert tickers["AAPLx"].reference_price == Decimal("278.50")

    def test_take_bid_and_ask_from_the_book_and_its_state(self, listed):
        book = {"bids": [["278.40", "1.5"]], "asks": [["278.60", "2"]], "sequence": 7}
        realtime.connection().set(queries.BOOK_KEY + "AAPLx", json.dumps(book))
        realtime.connection().hset(queries.STATE_KEY, "AAPLx", "post_only")
        apple = queries.tickers(listed)["AAPLx"]
        assert (apple.bid, apple.ask, apple.state) == (
            Decimal("278.40"),
            Decimal("278.60"),
            "post_only",
        )
        assert queries.book_of("AAPLx", 10).asks == [("278.60", "2")]

    def test_lines_and_closes_are_two_queries_each(self, listed, django_assert_num_queries):
        with django_assert_num_queries(4):
            lines = queries.sparklines(listed)
            closes = queries.closes(listed, "1d", WEDNESDAY - timedelta(days=30))
        assert {len(line) for line in lines.values()} == {24}
        assert len(closes) == 3

    def test_the_change_of_a_closed_share_is_that_of_its_last_trading_day(self, monkeypatch):
        monkeypatch.setattr(simulation, "FINEST_HISTORY", timedelta(hours=26))
        begin(SUNDAY).tick(now=SUNDAY)
        abbvie = instruments.queries.by_symbol("ABBVx")
        day = queries.statistics([abbvie], now=SUNDAY)["ABBVx"]
        before = Candle.objects.filter(
            instrument=abbvie, interval="1m", time__lt=datetime(2026, 11, 20, 1, tzinfo=UTC)
        ).latest("time")
        assert day.open == before.close
