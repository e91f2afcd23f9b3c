import pytest

from tests.trading.engine.venue import ASK, BID, SHARE, Venue, fills, frees, order_of
from trading.engine.commands import MOST_TIPS


@pytest.fixture
def venue():
    return Venue()


def levels(outcome, id_):
    return [(price, size) for price, size, _ in order_of(outcome, id_).levels]


class TestLevels:
    def test_are_replaced_at_once_within_the_standing_budget(self, venue):
        venue.quote([[990, SHARE]], [[1010, SHARE]], bid_budget_increase=0)
        assert venue.book() == ([], [(1010, SHARE)])
        venue.quote(asks=[[1005, SHARE // 2], [1006, 10**12]], ask_budget_increase=0)
        assert venue.book() == ([], [(1005, SHARE // 2), (1006, 10**12 - SHARE // 2)])

    def test_a_filled_one_shrinks_in_place_and_the_quote_never_finishes(self, venue):
        venue.quote(asks=[[1010, SHARE]])
        outcome = venue.buy(0.25, 1010)
        assert fills(outcome) == [(ASK, 1010, SHARE // 4)]
        assert levels(outcome, ASK) == [(1010, SHARE * 3 // 4)]
        outcome = venue.buy(0.75, 1010)
        assert (order_of(outcome, ASK).status, order_of(outcome, ASK).levels) == ("open", [])


class TestCrossing:
    """A level that meets orders of the other side trades with them, at their prices."""

    def test_fills_who_waits_best_price_and_oldest_first(self, venue):
        venue.buy(1, 1005)  # 1
        venue.buy(1, 1006)  # 2
        venue.buy(1, 1005)  # 3
        outcome = venue.quote([[990, SHARE]], [[1005, SHARE * 5 // 2], [1008, SHARE]])
        assert fills(outcome) == [(2, 1006, SHARE), (1, 1005, SHARE), (3, 1005, SHARE // 2)]
        assert venue.book() == ([(1005, SHARE // 2), (990, SHARE)], [(1008, SHARE)])

    def test_what_is_left_of_the_level_waits(self, venue):
        venue.buy(1, 1006)
        outcome = venue.quote(asks=[[1005, SHARE * 3]])
        assert fills(outcome) == [(1, 1006, SHARE)]
        assert levels(outcome, ASK) == [(1005, SHARE * 2)]
        assert order_of(outcome, ASK).filled == SHARE

    def test_a_dollar_bid_one_tick_inside_moves_nobodys_ask(self, venue):
        """The attack: it pushed the house's best ask away by a level and more."""
        asks = [[1008, SHARE], [1012, SHARE], [1018, SHARE]]
        venue.quote([[992, SHARE]], asks)
        venue.buy(0.1, 1007)
        lower = [[price - 1, size] for price, size in asks]
        outcome = venue.quote([[992, SHARE]], lower)
        assert fills(outcome) == [(1, 1007, SHARE // 10)]
        assert venue.book()[1] == [(1007, SHARE * 9 // 10), (1011, SHARE), (1017, SHARE)]

    def test_seventy_nine_bids_above_the_reference_are_all_filled(self, venue):
        for number in range(79):
            venue.buy(0.01, 1010 + number % 5)
        outcome = venue.quote([[990, SHARE]], [[1010, SHARE]])
        prices = [price for _, price, _ in fills(outcome)]
        assert len(prices) == 79
        assert prices == sorted(prices, reverse=True)
        assert venue.book()[0] == [(990, SHARE)]

    def test_the_maker_pays_a_makers_fee_and_the_house_what_its_quote_says(self, venue):
        venue.buy(1, 1000, maker_ppm=1_000, taker_ppm=4_000, budget=10_040_000)
        [fill] = venue.quote(asks=[[1000, SHARE]]).trades
        assert (fill.maker_side, fill.buy_fee, fill.sell_fee) == ("buy", 10_000, 0)

    def test_an_iceberg_is_filled_tip_by_tip(self, venue):
        tip = SHARE // MOST_TIPS + 1
        venue.buy(1, 1000, type="iceberg", display=tip)
        outcome = venue.quote(asks=[[1000, SHARE]])
        assert len(fills(outcome)) == MOST_TIPS
        assert order_of(outcome, 1).status == "filled"

    def test_takes_no_more_than_its_budget_covers(self, venue):
        venue.sell(2, 1000)
        outcome = venue.quote([[1010, 2 * SHARE]], bid_budget_increase=15_150_000)
        assert fills(outcome) == [(1, 1000, SHARE * 3 // 2)]  # what 1010 covers, and no more
        assert order_of(outcome, BID).budget == 150_000
        assert venue.book() == ([], [(1000, SHARE // 2)])

    def test_fires_the_stops_that_its_price_reaches(self, venue):
        venue.sell(1, 990, type="stop-loss", trigger="last", trigger_price=1000)
        venue.buy(1, 1000)
        outcome = venue.quote([[995, SHARE]], [[1000, SHARE]])
        assert fills(outcome) == [(2, 1000, SHARE), (BID, 995, SHARE)]

    def test_the_houses_own_hedge_gives_way(self, venue):
        venue.buy(1, 1010, owner=0)
        outcome = venue.quote(asks=[[1005, SHARE]])
        assert not outcome.trades
        assert (order_of(outcome, 1).status, order_of(outcome, 1).reason) == (
            "cancelled",
            "self_trade",
        )
        assert venue.book() == ([], [(1005, SHARE)])

    @pytest.mark.parametrize("state", ["post_only", "reduce_only"])
    def test_where_nothing_may_trade_the_level_is_dropped(self, venue, state):
        venue.buy(1, 1005)
        venue.apply("state", instrument=1, state=state)
        assert not venue.quote(asks=[[1005, SHARE], [1006, SHARE]]).trades
        assert venue.book() == ([(1005, SHARE)], [(1006, SHARE)])

    def test_in_a_market_that_only_reduces_it_buys_from_who_does(self, venue):
        venue.sell(1, 1005)
        venue.apply("state", instrument=1, state="reduce_only")
        assert fills(venue.quote([[1005, SHARE]])) == [(1, 1005, SHARE)]

    def test_nor_in_a_pause_or_a_closed_session(self, venue):
        venue.buy(1, 1005)
        venue.apply("hours", instruments=[1], spans=[[1_000, 2_000]])
        assert not venue.quote(asks=[[1005, SHARE]]).trades
        venue.at = 1_000
        assert fills(venue.quote(asks=[[1005, SHARE]])) == [(1, 1005, SHARE)]


class TestConfirming:
    """Quotes stand for as long as somebody looks after them."""

    def test_what_nobody_confirms_is_withdrawn_before_anybody_trades_with_it(self, venue):
        venue.quote([[990, SHARE]], [[1010, SHARE]], until=50)
        assert venue.engine.next_due() == 50
        venue.at = 49
        outcome = venue.buy(0.5, 1010)
        assert not outcome.trades
        assert levels(outcome, BID) == levels(outcome, ASK) == []
        assert venue.book() == ([(1010, SHARE // 2)], [])
        assert venue.engine.next_due() is None

    def test_what_is_confirmed_stays(self, venue):
        venue.quote([[990, SHARE]], [[1010, SHARE]], until=50)
        venue.apply("confirm", until=80)
        venue.at = 60
        assert fills(venue.buy(0.5, 1010)) == [(ASK, 1010, SHARE // 2)]
        assert venue.engine.next_due() == 80

    def test_a_later_quote_confirms_no_other(self, venue):
        venue.quote(asks=[[1010, SHARE]], until=50)
        venue.quote(asks=[[1010, SHARE]], until=500)
        assert venue.engine.next_due() == 50

    def test_a_confirmation_withdraws_what_it_names(self, venue):
        venue.quote([[990, SHARE]], [[1010, SHARE]])
        outcome = venue.apply("confirm", until=99, withdrawn=[1, 7])
        assert outcome.books == {1}
        assert venue.book() == ([], [])

    @pytest.mark.parametrize("late", [{"until": 10}, {"until": 3}])
    def test_what_comes_too_late_changes_nothing(self, venue, late):
        venue.quote(asks=[[1010, SHARE]], until=50)
        venue.at = 9
        assert venue.apply("confirm", **late).reason == "deadline"
        venue.at = 9
        outcome = venue.quote(asks=[[1005, SHARE]], bid_budget_increase=0, **late)
        assert (outcome.reason, frees(outcome)) == ("deadline", [(ASK, 10**12)])
        assert venue.book()[1] == [(1010, SHARE)]
        assert venue.engine.next_due() == 50

    def test_a_restart_keeps_the_time(self, venue):
        venue.quote(asks=[[1010, SHARE]], until=50)
        venue.apply("confirm", until=60)
        venue.restart()
        assert venue.engine.next_due() == 60

    def test_quotes_of_an_engine_that_knew_no_such_time_are_withdrawn_first(self, venue):
        venue.quote(asks=[[1010, SHARE]])
        state = venue.engine.snapshot()
        state.quotes_until = None
        venue.engine = type(venue.engine)(state)
        assert not venue.buy(0.5, 1010).trades
