"""Stops, trails, icebergs, dead-man switches and bands, one story at a time."""

import pytest

from tests.trading.engine.venue import SHARE, Venue, fills, frees, order_of


@pytest.fixture
def venue() -> Venue:
    return Venue()


def trade_at(venue: Venue, price: int):
    """Let two strangers trade a share at a price."""
    venue.sell(1, price)
    return venue.buy(1, price)


class TestStops:
    def test_a_stop_loss_waits_unseen_and_fires_once_when_the_last_price_falls_to_it(self, venue):
        venue.buy(1, 950)
        venue.sell(1, 900, type="stop-loss", trigger_price=980)
        assert venue.book() == ([(950, SHARE)], [])
        trade_at(venue, 981)
        assert order_of(venue.apply("amend", order=2, quantity=SHARE), 2).triggered is False
        outcome = trade_at(venue, 980)
        assert fills(outcome) == [(5, 980, SHARE), (1, 950, SHARE)]
        assert order_of(outcome, 2).status == "filled"

    def test_a_take_profit_fires_when_the_price_rises_to_it(self, venue):
        venue.sell(1, 1090, type="take-profit-limit", trigger_price=1100)
        trade_at(venue, 1099)
        assert venue.book()[1] == []
        trade_at(venue, 1100)
        assert venue.book()[1] == [(1090, SHARE)]

    def test_the_first_of_two_triggers_ends_the_other(self, venue):
        venue.buy(2, 1000)
        venue.sell(1, 900, type="stop-loss", trigger_price=950, take_profit_price=1100)
        outcome = trade_at(venue, 1100)
        assert fills(outcome)[-1] == (1, 1000, SHARE)
        assert order_of(outcome, 2).status == "filled"
        assert not venue.engine.shard.books[1].by_last

    def test_one_that_has_been_reached_already_fires_at_once(self, venue):
        trade_at(venue, 1000)
        venue.buy(1, 990)
        outcome = venue.sell(1, 900, type="stop-loss", trigger_price=1000)
        assert fills(outcome) == [(3, 990, SHARE)]

    def test_by_mark_does_not_look_at_trades(self, venue):
        venue.sell(1, 900, type="stop-loss-limit", trigger="mark", trigger_price=950)
        trade_at(venue, 940)
        assert venue.book()[1] == []
        venue.apply("mark", prices={"1": 949})
        assert venue.book()[1] == [(900, SHARE)]

    def test_the_trades_of_one_may_fire_the_next(self, venue):
        for price in (980, 960, 940):
            venue.buy(1, price)
        venue.sell(1, 900, type="stop-loss", trigger_price=960)
        venue.sell(1, 900, type="stop-loss", trigger_price=980)
        outcome = venue.sell(1, 980)
        assert [fill[1] for fill in fills(outcome)] == [980, 960, 940]

    def test_waits_while_the_market_is_restricted_and_looks_when_it_opens(self, venue):
        venue.sell(1, 1000, type="stop-loss-limit", trigger="mark", trigger_price=950)
        venue.apply("state", instrument=1, state="cancel_only")
        venue.apply("mark", prices={"1": 940})
        assert venue.book()[1] == []
        venue.apply("state", instrument=1, state="online")
        assert venue.book()[1] == [(1000, SHARE)]

    def test_frees_its_budget_when_it_finds_nobody(self, venue):
        venue.buy(1, 1100, type="stop-loss", trigger_price=1000, trigger="mark")
        outcome = venue.apply("mark", prices={"1": 1000})
        assert order_of(outcome, 1).reason == "no_liquidity"
        assert frees(outcome) == [(1, 11_000_000)]

    def test_is_cancelled_like_any_other(self, venue):
        venue.sell(1, 900, type="stop-loss", trigger_price=950)
        venue.apply("cancel", order=1)
        assert trade_at(venue, 940).trades[0].maker == 2

    def test_survives_a_restart(self, venue):
        venue.sell(1, 900, type="stop-loss-limit", trigger="mark", trigger_price=950)
        venue.restart()
        venue.apply("mark", prices={"1": 950})
        assert venue.book()[1] == [(900, SHARE)]

    @pytest.mark.parametrize(
        "terms",
        [
            {"type": "stop-loss"},
            {"type": "stop-loss", "trigger_price": 5, "trail": 5},
            {"type": "take-profit", "trigger_price": 5, "take_profit_price": 5},
            {"type": "trailing-stop"},
            {"type": "trailing-stop", "trail": 10**6, "trail_unit": "ppm"},
            {"type": "limit", "trigger_price": 5},
            {"type": "limit", "display": 5},
            {"type": "iceberg"},
            {"type": "iceberg", "display": SHARE // 16},
            {"type": "quote"},
        ],
    )
    def test_terms_that_make_no_sense_are_refused(self, venue, terms):
        assert venue.buy(1, 1000, **terms).reason == "poisonous"


class TestTrailingStops:
    def test_follow_the_best_price_and_fire_a_trail_away_from_it(self, venue):
        venue.apply("mark", prices={"1": 1000})
        venue.sell(1, 900, type="trailing-stop-limit", trigger="mark", trail=20, limit_offset=-5)
        for price in (1015, 1030, 1011):
            venue.apply("mark", prices={"1": price})
        assert venue.book()[1] == []
        venue.restart()
        venue.apply("mark", prices={"1": 1010})
        assert venue.book()[1] == [(1005, SHARE)]

    def test_may_trail_by_a_share_of_the_price(self, venue):
        venue.buy(1, 1, type="limit")
        venue.apply("mark", prices={"1": 1000})
        trail = {"trail": 10_000, "trail_unit": "ppm", "trigger": "mark"}
        venue.sell(1, 1, type="trailing-stop", **trail)
        assert not venue.apply("mark", prices={"1": 991}).trades
        assert fills(venue.apply("mark", prices={"1": 990})) == [(1, 1, SHARE)]

    def test_end_as_dust_where_their_size_is_worth_nothing_at_the_limit_they_found(self, venue):
        venue.apply("mark", prices={"1": 1000})
        size = {"type": "trailing-stop-limit", "trigger": "mark", "trail": 20, "limit_offset": 0}
        venue.buy(0.0000001, 1100, budget=2, **size)
        venue.apply("mark", prices={"1": 960})
        outcome = venue.apply("mark", prices={"1": 985})
        assert order_of(outcome, 1).reason == "dust"
        assert frees(outcome) == [(1, 2)]
        assert venue.book() == ([], [])


class TestIcebergs:
    def test_show_their_tip_only_and_go_to_the_back_with_each_new_one(self, venue):
        venue.sell(10, 1000, type="iceberg", display=SHARE)
        venue.sell(1, 1000)
        assert venue.book()[1] == [(1000, 2 * SHARE)]
        assert fills(venue.buy(3, 1000)) == [(1, 1000, SHARE), (2, 1000, SHARE), (1, 1000, SHARE)]
        assert venue.book()[1] == [(1000, SHARE)]

    def test_trade_all_of_what_they_hide(self, venue):
        venue.sell(1.5, 1000, type="iceberg", display=SHARE)
        assert venue.buy(2, 1000, tif="fok").reason == "fok_unfilled"
        assert len(venue.buy(1.5, 1000, tif="fok").trades) == 2


class TestDeadMan:
    def test_cancels_everything_of_an_owner_who_does_not_renew(self, venue):
        venue.buy(1, 1000, owner=7)
        venue.buy(1, 1000, owner=8)
        outcome = venue.apply("cancel_all_after", owner=7, timeout_us=10)
        assert outcome.participants[0].deadline == venue.at + 10
        venue.apply("cancel_all_after", owner=7, timeout_us=20)
        venue.restart()
        due = venue.engine.next_due()
        assert due == venue.at + 20
        venue.at = due - 1
        outcome = venue.apply("clock")
        assert [(order.id, order.reason) for order in outcome.orders] == [(1, "cancel_all_after")]
        assert outcome.participants[0].deadline is None

    def test_zero_disarms(self, venue):
        venue.apply("cancel_all_after", owner=7, timeout_us=10)
        venue.apply("cancel_all_after", owner=7, timeout_us=0)
        assert venue.engine.next_due() is None


class TestBands:
    @pytest.fixture
    def banded(self, venue) -> Venue:
        venue.apply("band", instrument=1, band_ppm=50_000, band_after_us=15, pause_us=300)
        venue.apply("mark", prices={"1": 1000})
        return venue

    def test_trades_outside_for_long_enough_pause_and_resume_by_themselves(self, banded):
        trade_at(banded, 1060)
        due = banded.engine.next_due()
        assert due == banded.at + 15
        banded.at = due - 1
        banded.apply("clock")
        assert banded.buy(1, 1000).reason == "instrument_paused"
        banded.restart()
        assert banded.engine.next_due() == due + 300
        banded.at = due + 299
        assert banded.buy(1, 1000).result == "accepted"

    def test_a_trade_back_inside_stops_the_clock(self, banded):
        trade_at(banded, 1060)
        trade_at(banded, 1050)
        assert banded.engine.next_due() is None

    def test_so_does_a_mark_that_follows(self, banded):
        trade_at(banded, 1060)
        banded.apply("mark", prices={"1": 1040})
        assert banded.engine.next_due() is None

    def test_a_paused_market_still_lets_customers_cancel(self, banded):
        banded.buy(1, 900)
        trade_at(banded, 1060)
        banded.at = banded.engine.next_due()
        assert banded.apply("cancel", order=1).result == "accepted"

    def test_a_stop_may_begin_to_wait_in_a_pause_and_fires_after_it(self, banded):
        trade_at(banded, 1060)
        banded.at = banded.engine.next_due()
        stop = banded.sell(1, 900, type="stop-loss", trigger="last", trigger_price=1060)
        assert stop.result == "accepted"
        [waiting] = stop.orders
        assert not waiting.triggered
        banded.at = banded.engine.next_due()
        assert order_of(banded.apply("clock"), waiting.id).triggered


class TestCarriedTerms:
    def test_a_conditional_close_comes_back_with_the_order(self, venue):
        close = {"type": "stop-loss", "trigger_price": 900}
        assert order_of(venue.buy(1, 1000, close=close), 1).close == close

    def test_a_command_past_its_deadline_is_refused(self, venue):
        venue.at = 100
        assert venue.buy(1, 1000, deadline=50).reason == "deadline"
