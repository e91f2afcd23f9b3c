"""Orders, one rule at a time."""

import pytest

from tests.trading.engine.venue import SHARE, Venue, fills, frees, order_of
from trading.engine import Engine, ShardState

ORDER = {
    "order": 50,
    "owner": 50,
    "instrument": 1,
    "side": "buy",
    "type": "limit",
    "price": 1000,
    "quantity": SHARE,
    "budget": 10_000_000,
}


@pytest.fixture
def venue() -> Venue:
    return Venue()


class TestMatching:
    def test_takes_the_best_price_first_and_at_one_price_the_oldest(self, venue):
        venue.sell(1, 1010)
        venue.sell(1, 1000)
        venue.sell(1, 1000)
        outcome = venue.buy(2.5, 1010)
        assert fills(outcome) == [
            (2, 1000, SHARE),
            (3, 1000, SHARE),
            (1, 1010, SHARE // 2),
        ]
        assert order_of(outcome, 4).status == "filled"
        assert order_of(outcome, 1).status == "partially_filled"

    def test_trades_at_the_waiting_price_and_frees_what_was_saved(self, venue):
        venue.sell(1, 1000)
        outcome = venue.buy(1, 1100, taker_ppm=1000)
        (fill,) = outcome.trades
        assert (fill.cost, fill.buy_fee, fill.sell_fee) == (10_000_000, 10_000, 0)
        assert frees(outcome) == [(2, 11_011_000 - 10_010_000)]

    def test_pays_the_maker_a_rebate_that_does_not_touch_the_budget(self, venue):
        venue.buy(1, 1000, maker_ppm=-200, taker_ppm=1000)
        outcome = venue.sell(1, 1000)
        assert outcome.trades[0].buy_fee == -2000
        assert frees(outcome) == [(1, 10_000)]

    def test_rounds_one_cost_down_for_both_sides(self, venue):
        venue.sell(1, 999)
        (fill,) = venue.buy(0.00000123, 999, budget=13).trades
        assert fill.cost == 12  # 123 base units of 0.0999 USD units each

    def test_a_remainder_worth_nothing_is_cancelled(self, venue):
        venue.sell(0.00000115, 1000)
        outcome = venue.buy(0.00000120, 1000)
        assert order_of(outcome, 2).reason == "dust"
        assert venue.book() == ([], [])


class TestTimeInForce:
    def test_a_market_order_stops_at_its_collar_and_never_rests(self, venue):
        venue.sell(1, 1000)
        venue.sell(1, 1100)
        outcome = venue.buy(2, 1050, type="market")
        bought = order_of(outcome, 3)
        assert (bought.status, bought.reason, bought.filled) == ("cancelled", "collar", SHARE)
        assert frees(outcome) == [(3, 21_000_000 - 10_000_000)]

    def test_a_market_order_without_a_counterpart_is_rejected(self, venue):
        outcome = venue.buy(2, 1050, type="market")
        assert (outcome.result, outcome.reason) == ("rejected", "no_liquidity")
        assert frees(outcome) == [(1, 21_000_000)]

    def test_fill_or_kill_does_all_or_nothing(self, venue):
        venue.sell(1, 1000)
        assert venue.buy(2, 1000, tif="fok").reason == "fok_unfilled"
        assert fills(venue.buy(1, 1000, tif="fok")) == [(1, 1000, SHARE)]

    def test_fill_or_kill_knows_that_dust_behind_an_iceberg_goes(self, venue):
        venue.sell(0.00000105, 1000, type="iceberg", display=100)
        venue.sell(1, 1001)
        assert fills(venue.buy(1, 1001, tif="fok")) == [(1, 1000, 100), (2, 1001, SHARE - 100)]

    def test_good_till_date_expires_before_the_next_command_is_looked_at(self, venue):
        venue.sell(1, 1000, tif="gtd", expires_at=5)
        assert venue.engine.next_due() == 5
        venue.at = 4
        outcome = venue.buy(1, 1000)
        assert order_of(outcome, 1).status == "expired"
        assert not outcome.trades
        assert venue.engine.next_due() is None

    def test_post_only_never_takes(self, venue):
        venue.sell(1, 1000)
        outcome = venue.buy(1, 1000, post_only=True)
        assert (outcome.result, outcome.reason) == ("rejected", "post_only_would_take")

    def test_reduce_only_refuses_a_buy_and_passes_a_sell(self, venue):
        assert venue.buy(1, 1000, reduce_only=True).reason == "reduce_only"
        assert venue.sell(1, 1000, reduce_only=True).result == "accepted"


class TestSelfTradePrevention:
    def test_cancel_newest_stops_the_taker(self, venue):
        venue.sell(1, 1000, owner=5)
        outcome = venue.buy(1, 1000, owner=5)
        assert (outcome.result, outcome.reason) == ("rejected", "self_trade")
        assert venue.book()[1] == [(1000, SHARE)]

    def test_cancel_oldest_lets_the_taker_go_on(self, venue):
        venue.sell(1, 1000, owner=5)
        venue.sell(1, 1000, owner=6)
        outcome = venue.buy(1, 1000, owner=5, stp="cancel_oldest")
        assert order_of(outcome, 1).reason == "self_trade"
        assert fills(outcome) == [(2, 1000, SHARE)]

    def test_cancel_both_ends_both(self, venue):
        venue.sell(1, 1000, owner=5)
        outcome = venue.buy(1, 1000, owner=5, stp="cancel_both")
        assert {order.status for order in outcome.orders} == {"cancelled"}
        assert venue.book() == ([], [])


class TestNotional:
    def test_buys_for_a_sum_of_money_and_not_a_unit_more(self, venue):
        venue.sell(1, 700)
        outcome = venue.buy(0, 700, quantity=None, notional=50_000, budget=50_000)
        bought = order_of(outcome, 2)
        assert (bought.status, bought.filled, bought.cost) == ("filled", 714_285, 49_999)
        assert frees(outcome) == [(2, 1)]

    def test_a_budget_that_includes_the_fee_is_never_overdrawn(self, venue):
        venue.sell(100, 700)
        outcome = venue.buy(0, 700, quantity=None, notional=10**6, budget=10**6, taker_ppm=2500)
        bought = order_of(outcome, 2)
        assert bought.status == "filled"
        assert bought.cost + bought.fee <= 10**6


class TestAmend:
    def test_a_smaller_quantity_keeps_its_place_and_frees_the_rest(self, venue):
        venue.buy(2, 1000)
        venue.buy(1, 1000)
        outcome = venue.apply("amend", order=1, quantity=SHARE)
        assert frees(outcome) == [(1, 10_000_000)]
        assert fills(venue.sell(1, 1000)) == [(1, 1000, SHARE)]

    def test_a_larger_quantity_goes_to_the_back(self, venue):
        venue.buy(1, 1000)
        venue.buy(1, 1000)
        venue.apply("amend", order=1, quantity=2 * SHARE, budget_increase=10_000_000)
        assert fills(venue.sell(1, 1000)) == [(2, 1000, SHARE)]

    def test_a_new_price_may_trade_at_once(self, venue):
        venue.sell(1, 1100)
        venue.buy(1, 1000)
        outcome = venue.apply("amend", order=2, price=1100, budget_increase=10**6)
        assert fills(outcome) == [(1, 1100, SHARE)]

    def test_a_refused_one_changes_nothing_and_frees_its_increase(self, venue):
        venue.buy(1, 1000)
        before = venue.engine.snapshot().orders
        outcome = venue.apply("amend", order=1, quantity=9 * SHARE, budget_increase=5)
        assert outcome.reason == "budget"
        assert frees(outcome) == [(1, 5)]
        assert venue.engine.snapshot().orders == before

    def test_an_order_that_is_gone_frees_its_increase_too(self, venue):
        outcome = venue.apply("amend", order=77, quantity=SHARE, budget_increase=5)
        assert (outcome.reason, frees(outcome)) == ("unknown_order", [(77, 5)])


class TestStates:
    @pytest.mark.parametrize(
        ("state", "passing"),
        [
            ("cancel_only", set()),
            ("maintenance", set()),
            ("delisted", set()),
            ("post_only", {"post"}),
            ("limit_only", {"limit", "post", "sell"}),
            ("reduce_only", {"sell"}),
            ("online", {"limit", "post", "sell", "market"}),
        ],
    )
    def test_decide_what_may_be_placed(self, venue, state, passing):
        venue.sell(1, 2000)
        venue.apply("state", instrument=1, state=state)
        told = {
            "limit": venue.buy(1, 1000),
            "post": venue.buy(1, 1000, post_only=True),
            "sell": venue.sell(1, 1500),
            "market": venue.buy(1, 2000, type="market"),
        }
        assert {name for name, out in told.items() if out.result == "accepted"} == passing

    def test_cancelling_is_always_possible(self, venue):
        venue.buy(1, 1000)
        venue.apply("state", instrument=1, state="cancel_only")
        assert order_of(venue.apply("cancel", order=1), 1).status == "cancelled"

    def test_a_change_of_the_multiplier_cancels_everything_first(self, venue):
        venue.buy(1, 1000)
        outcome = venue.apply("multiplier", instrument=1, multiplier_e18=4 * 10**18)
        assert order_of(outcome, 1).reason == "corporate_action"
        venue.sell(1, 1000)
        assert venue.buy(1, 1000, budget=40_000_000).trades[0].cost == 40_000_000


class TestBadCommands:
    POISON = (None, -1, 0, 1.5, float("nan"), float("inf"), "12", True, 10**60, [], {})

    @pytest.mark.parametrize("value", POISON, ids=str)
    @pytest.mark.parametrize("name", ["order", "price", "quantity", "side", "instrument", "stp"])
    def test_a_poisonous_place_is_rejected_and_the_book_unharmed(self, venue, name, value):
        venue.sell(1, 1000)
        before = venue.engine.snapshot()
        outcome = venue.apply("place", **ORDER | {name: value})
        assert outcome.result == "rejected"
        assert not outcome.trades
        after = venue.engine.snapshot()
        assert (after.orders, after.priority) == (before.orders, before.priority)

    @pytest.mark.parametrize(
        ("kind", "payload"),
        [
            ("cancel", {}),
            ("cancel", {"order": "1"}),
            ("cancel_all", {"owner": None}),
            ("amend", {"order": 1, "quantity": float("nan")}),
            ("quote", {"instrument": 1, "bid_order": 5, "ask_order": 5, "until": 99}),
            ("quote", {"instrument": 1, "bid_order": 5, "ask_order": 6}),
            (
                "quote",
                {"instrument": 1, "bid_order": 5, "ask_order": 6, "until": 99, "bids": [[1]]},
            ),
            ("confirm", {}),
            ("confirm", {"until": 1}),
            ("state", {"instrument": 1, "state": "on fire"}),
            ("mark", {"prices": {"1": 0}}),
            ("multiplier", {"instrument": 1, "multiplier_e18": 10**40}),
            ("instrument", {"instrument": 4, "tick_num": 0, "tick_den": 1}),
            ("no such kind", {}),
        ],
    )
    def test_nonsense_is_rejected_with_a_reason(self, venue, kind, payload):
        venue.sell(1, 1000)
        before = venue.engine.snapshot().orders
        outcome = venue.apply(kind, **payload)
        assert outcome.result == "rejected"
        assert outcome.reason
        assert venue.engine.snapshot().orders == before

    @pytest.mark.parametrize("kind", ["place", "cancel", "amend", "quote", "hours", "mark"])
    @pytest.mark.parametrize(
        "text",
        ['{"close":' + "[" * 9_000 + "]" * 9_000 + "}", '{"order":' + "9" * 9_000 + "}", "["],
    )
    def test_json_that_no_reader_survives_is_rejected_too(self, venue, kind, text):
        outcome = venue.engine.apply(9, 9, kind, text)
        assert (outcome.result, outcome.reason) == ("rejected", "poisonous")

    def test_a_mark_of_an_impossible_instrument_is_passed_over(self, venue):
        outcome = venue.apply("mark", prices={"9" * 5_000: 1, "one": 1, "²": 1, "1": 1000})
        assert [state.mark for state in outcome.instruments] == [1000]

    def test_a_rejected_place_frees_its_whole_budget(self, venue):
        outcome = venue.buy(1, 1000, instrument=7)
        assert (outcome.reason, frees(outcome)) == ("unknown_instrument", [(1, 10_000_000)])
        assert order_of(outcome, 1).status == "rejected"
        assert frees(venue.apply("place", **ORDER | {"price": "free"})) == [(50, 10_000_000)]

    def test_a_sequence_that_does_not_grow_is_the_callers_error(self):
        engine = Engine(ShardState(sequence=7, time=9))
        with pytest.raises(ValueError, match="does not come after"):
            engine.apply(7, 9, "clock", {})
        with pytest.raises(ValueError, match="does not come after"):
            engine.apply(8, 8, "clock", {})


class TestOutcome:
    def test_its_orders_do_not_change_with_later_commands(self, venue):
        order = order_of(venue.sell(1, 1000), 1)
        venue.buy(1, 1000)
        assert (order.status, order.filled) == ("open", 0)

    def test_tells_the_last_price(self, venue):
        venue.sell(1, 1000)
        assert venue.buy(1, 1000).instruments[0].last == 1000
