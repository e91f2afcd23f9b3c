import itertools
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import candles, checksum, sessions, simulation
from market.rules.simulation import Simulator, Walker

NEW_YORK = ZoneInfo("America/New_York")
moments = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001
    max_value=datetime(2029, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


class TestSessions:
    @pytest.mark.parametrize(
        ("at", "is_open", "changes"),
        [
            # In winter New York's 20:00 is 01:00 UTC, in summer midnight.
            ("2026-11-22T11:00", False, "2026-11-23T01:00"),
            ("2026-11-23T00:59", False, "2026-11-23T01:00"),
            ("2026-11-23T01:00", True, "2026-11-28T01:00"),
            ("2026-11-28T00:59", True, "2026-11-28T01:00"),
            ("2026-11-28T01:00", False, "2026-11-30T01:00"),
            ("2026-07-05T23:59", False, "2026-07-06T00:00"),
            ("2026-07-06T00:00", True, "2026-07-11T00:00"),
            # The week in which the clocks go back: it opens by summer's hours, closes by winter's.
            ("2026-10-31T12:00", False, "2026-11-02T01:00"),
            ("2026-03-07T12:00", False, "2026-03-09T00:00"),
        ],
    )
    def test_keeps_the_week_of_new_york(self, at, is_open, changes):
        session = sessions.session_at("24/5", datetime.fromisoformat(at).replace(tzinfo=UTC))
        assert session.is_open is is_open
        assert session.next_change == datetime.fromisoformat(changes).replace(tzinfo=UTC)

    @given(moments)
    def test_round_the_clock_is_never_closed(self, now):
        assert sessions.session_at("24/7", now) == sessions.Session(is_open=True, next_change=None)

    @given(moments)
    def test_changes_exactly_when_it_says(self, now):
        session = sessions.session_at("24/5", now)
        assert session.next_change > now
        before = session.next_change - timedelta(microseconds=1)
        assert sessions.is_open("24/5", before) is session.is_open
        assert sessions.is_open("24/5", session.next_change) is not session.is_open
        local = session.next_change.astimezone(NEW_YORK)
        assert (local.hour, local.minute, local.weekday()) == (20, 0, 4 if session.is_open else 6)

    @given(moments, st.integers(1, 400))
    def test_rewinds_by_trading_time_only(self, now, hours):
        asked = timedelta(hours=hours)
        start = sessions.rewind("24/5", now, asked)
        spans = sessions.open_spans("24/5", start, now)
        assert sum((until - since for since, until in spans), timedelta()) == asked
        assert sessions.rewind("24/7", now, asked) == now - asked


class TestCandles:
    @given(moments, st.sampled_from(list(candles.LENGTHS)))
    def test_a_moment_lies_in_its_interval(self, at, interval):
        begin = candles.begin(interval, at)
        assert begin <= at < begin + candles.LENGTHS[interval]
        assert candles.begin(interval, begin) == begin

    @given(moments)
    def test_each_interval_is_made_of_whole_smaller_ones(self, at):
        for lower, upper in candles.LADDER:
            begin = candles.begin(upper, at)
            assert candles.begin(lower, begin) == begin

    def test_weeks_begin_on_mondays_and_days_at_midnight(self):
        at = datetime(2026, 11, 22, 17, 45, tzinfo=UTC)
        assert candles.begin("1w", at) == datetime(2026, 11, 16, tzinfo=UTC)
        assert candles.begin("1d", at) == datetime(2026, 11, 22, tzinfo=UTC)
        assert candles.begin("4h", at) == datetime(2026, 11, 22, 16, tzinfo=UTC)

    @given(st.lists(st.decimals(1, 10**6, places=2), min_size=1))
    def test_a_bar_holds_what_it_was_given(self, prices):
        bar = candles.Bar.at(candles.ORIGIN, prices[0])
        for price in prices:
            bar.add(price)
        assert (bar.open, bar.high, bar.low, bar.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )


def levels(text):
    return [pair.split("/") for pair in text.split()]


class TestChecksum:
    def test_gives_the_published_example(self):
        asks = levels(
            "45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 "
            "45290.2/0.15890660 45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 "
            "45297.5/0.09945542 45299.5/0.18772827"
        )
        bids = levels(
            "45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 "
            "45280.3/1.54592586 45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 "
            "45277.3/1.54602737 45276.6/0.15445238"
        )
        assert checksum.book_checksum(bids=bids, asks=asks) == 3310070434

    def test_looks_at_ten_levels_only(self):
        ten = [(f"{n}.50", "1.00000000") for n in range(1, 11)]
        assert checksum.book_checksum(bids=ten, asks=ten) == checksum.book_checksum(
            bids=[*ten, ("99.50", "7.00000000")], asks=ten
        )

    def test_of_an_empty_book_is_nothing(self):
        assert checksum.book_checksum(bids=[], asks=[]) == 0


NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WALKERS = [
    Walker("AAPLx", "stock", "24/7", 27850),
    Walker("ABBVx", "stock", "24/5", 22700),
    Walker("SPYx", "etf", "24/5", 68000),
    Walker("PENNYx", "stock", "24/7", 2),
]


def run(seed, start, seconds, walkers=WALKERS):
    simulator = Simulator(seed=seed, walkers=walkers, at=start)
    return [simulator.step(start + timedelta(seconds=n)) for n in range(1, seconds)]


class TestSimulator:
    def test_the_same_seed_makes_the_same_prices(self):
        assert run("a", NOON, 300) == run("a", NOON, 300)
        assert run("a", NOON, 300) != run("b", NOON, 300)

    def test_a_closed_session_keeps_its_price(self):
        moved = {symbol for changes in run("a", SUNDAY, 600) for symbol in changes}
        assert "AAPLx" in moved
        assert not moved & {"ABBVx", "SPYx"}

    @given(st.text(max_size=8), st.integers(1, 3))
    def test_a_price_is_at_least_one_tick(self, seed, ticks):
        walkers = [Walker("PENNYx", "stock", "24/7", ticks)]
        for changes in run(seed, NOON, 50, walkers):
            assert all(price >= 1 for price in changes.values())

    def test_says_only_what_changed(self):
        known = {walker.symbol: walker.ticks for walker in WALKERS}
        for changes in run("a", NOON, 300):
            assert all(known[symbol] != price for symbol, price in changes.items())
            known |= changes

    def test_does_not_leap_after_a_stall(self):
        simulator = Simulator(seed="a", walkers=WALKERS, at=NOON)
        (price,) = {simulator.step(NOON + timedelta(days=1)).get("AAPLx", 27850)}
        assert abs(price - 27850) < 500

    def test_instruments_move_together(self):
        plan = simulation.slots(seed="a", hours="24/7", since=NOON - timedelta(days=365), now=NOON)
        daily = [slot for slot in plan if slot.interval == "1d"]

        def returns(symbol):
            walker = Walker(symbol, "etf", "24/7", 10_000)
            bars = list(simulation.history(seed="a", walker=walker, plan=daily, backward=True))
            return [math.log(bar.close / bar.open) for bar in bars]

        first, second = returns("SPYx"), returns("QQQx")
        means = sum(first) / len(first), sum(second) / len(second)
        pairs = [(a - means[0], b - means[1]) for a, b in zip(first, second, strict=True)]
        together = sum(a * b for a, b in pairs) / math.sqrt(
            sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs)
        )
        assert together > 0.4


class TestHistory:
    @pytest.fixture(scope="class")
    def bars(self):
        plan = simulation.slots(
            seed="a", hours="24/5", since=SUNDAY - timedelta(days=365), now=SUNDAY
        )
        return list(simulation.history(seed="a", walker=WALKERS[1], plan=plan, backward=True))

    def test_ends_at_the_price_it_was_given(self, bars):
        assert bars[-1].close == WALKERS[1].ticks

    def test_each_candle_opens_where_the_one_before_closed(self, bars):
        for before, after in itertools.pairwise(bars):
            assert abs(before.close - after.open) <= 1

    def test_each_candle_is_ordered_and_positive(self, bars):
        for bar in bars:
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high

    def test_has_no_candle_where_the_session_is_closed(self, bars):
        for bar in bars:
            end = bar.time + candles.LENGTHS[bar.interval]
            assert sessions.open_spans("24/5", bar.time, end)

    def test_has_no_gap_where_it_is_open(self, bars):
        for before, after in itertools.pairwise(bars):
            end = before.time + candles.LENGTHS[before.interval]
            gap = sessions.open_spans("24/5", end, after.time)
            assert not gap

    def test_covers_a_year_of_days_a_month_of_quarters_and_two_days_of_minutes(self, bars):
        first = {}
        for bar in bars:
            first.setdefault(bar.interval, bar.time)
        assert list(first) == ["1d", "15m", "1m"]
        assert SUNDAY - first["1d"] >= timedelta(days=360)
        assert SUNDAY - first["15m"] >= timedelta(days=29)
        spans = sessions.open_spans("24/5", first["1m"], SUNDAY)
        assert sum((b - a for a, b in spans), timedelta()) >= timedelta(hours=48)

    def test_goes_on_from_a_price_after_a_pause(self):
        plan = simulation.slots(
            seed="a", hours="24/7", since=NOON - timedelta(minutes=30), now=NOON
        )
        bars = list(simulation.history(seed="a", walker=WALKERS[0], plan=plan, backward=False))
        assert (len(bars), bars[0].open) == (30, 27850)

    def test_prices_of_ticks_are_exact(self, bars):
        assert bars[-1].close * Decimal("0.01") == Decimal("227.00")
