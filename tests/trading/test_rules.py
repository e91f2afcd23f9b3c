"""The market's arithmetic to its exact bounds: one unit, one tick, one second to either side."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import MAX_UNITS
from tests import world
from trading import rules
from trading.rules import Scale

CENT = Scale.of(Decimal("0.010000"), Decimal("1.000000000000000000"))
GROWN = Scale(Decimal("0.01"), Decimal("1.003731234567"))
FINE = Scale(Decimal("0.0001"), Decimal(1))
SHARE = 10**8  # base units, while the multiplier is 1


class TestTicks:
    def test_are_whole_steps_of_a_price(self) -> None:
        assert CENT.ticks(Decimal("278.50"), field="limit_price") == 27_850
        assert CENT.ticks(Decimal("0.01"), field="limit_price") == 1
        assert CENT.price(27_850) == Decimal("278.50")
        assert str(CENT.price(1)) == "0.01"

    @pytest.mark.parametrize("price", ["278.505", "0", "-0.01", "-278.50"])
    def test_of_anything_else_are_refused(self, price: str) -> None:
        with pytest.raises(rules.PriceOffTick, match=r"steps of 0\.01 dollars") as refusal:
            CENT.ticks(Decimal(price), field="limit_price")
        assert refusal.value.field == "limit_price"

    def test_are_no_more_than_can_be_counted(self) -> None:
        most = Decimal(MAX_UNITS) / 100
        assert CENT.ticks(most, field="limit_price") == MAX_UNITS
        with pytest.raises(rules.TooLarge):
            CENT.ticks(most + Decimal("0.01"), field="limit_price")

    @pytest.mark.parametrize(("distance", "ticks"), [("0.02", 2), ("0", 0), ("-0.02", -2)])
    def test_of_a_distance_go_either_way(self, distance: str, ticks: int) -> None:
        assert CENT.signed_ticks(Decimal(distance), field="limit_offset") == ticks

    def test_of_a_distance_between_two_are_refused(self) -> None:
        with pytest.raises(rules.PriceOffTick):
            CENT.signed_ticks(Decimal("-0.015"), field="limit_offset")


class TestShares:
    def test_are_counted_in_base_units_toward_zero(self) -> None:
        assert CENT.base(Decimal("2.5")) == 250_000_000
        assert GROWN.base(Decimal(1)) == 99_628_263  # 99,628,263.59…
        assert GROWN.shares(99_628_263) == Decimal("0.99999999")

    @given(
        units=st.integers(100, 10**12),
        multiplier=st.decimals("0.2", "20", places=12).filter(bool),
    )
    def test_that_are_sold_are_the_most_that_are_shown_so(
        self, units: int, multiplier: Decimal
    ) -> None:
        scale = Scale(Decimal("0.01"), multiplier)
        base = Fraction(scale.base(Decimal(units).scaleb(-8), selling=True))
        assert floor(base * Fraction(multiplier)) <= units < (base + 1) * Fraction(multiplier)

    def test_of_nothing_are_not_sold(self) -> None:
        """At this multiplier three base units are shown as nothing."""
        with pytest.raises(rules.BelowMinimum):
            Scale(Decimal("0.01"), Decimal("0.3")).base(Decimal(0), selling=True)

    def test_have_eight_decimals(self) -> None:
        assert CENT.base(Decimal("0.00000001")) == 1
        with pytest.raises(rules.QuantityOffStep):
            CENT.base(Decimal("0.000000015"))

    def test_are_at_least_one_unit(self) -> None:
        with pytest.raises(rules.BelowMinimum) as refusal:
            Scale(Decimal("0.01"), Decimal(4)).base(Decimal("0.00000003"), field="display_quantity")
        assert refusal.value.field == "display_quantity"

    def test_are_no_more_than_can_be_counted(self) -> None:
        most = Decimal(MAX_UNITS) / SHARE
        assert CENT.base(most) == MAX_UNITS
        with pytest.raises(rules.TooLarge):
            CENT.base(most + Decimal("0.00000001"))


class TestCosts:
    """At $278.51 and a multiplier of 1 a base unit costs 2.7851 USD units."""

    def test_are_rounded_down(self) -> None:
        assert CENT.cost(27_851, SHARE) == 278_510_000
        assert CENT.cost(27_851, 1) == 2
        assert CENT.cost(27_851, 3) == 8

    def test_buy_so_much_rounded_down(self) -> None:
        assert CENT.base_for(278_510_000, 27_851) == SHARE
        assert CENT.base_for(278_509_999, 27_851) == SHARE - 1
        assert CENT.base_for(2, 27_851) == 0

    def test_are_brought_in_by_so_much_rounded_up(self) -> None:
        assert CENT.base_covering(278_510_000, 27_851) == SHARE
        assert CENT.base_covering(278_510_001, 27_851) == SHARE + 1
        assert CENT.base_covering(1, 27_851) == 1

    @given(
        notional=st.integers(1, 10**15),
        ticks=st.integers(1, 10**9),
        scale=st.sampled_from([CENT, GROWN, FINE]),
    )
    def test_bound_what_a_notional_trades(self, notional: int, ticks: int, scale: Scale) -> None:
        bought, sold = scale.base_for(notional, ticks), scale.base_covering(notional, ticks)
        num, den = scale.fraction
        assert ticks * bought * num <= notional * den < ticks * (bought + 1) * num
        assert ticks * (sold - 1) * num < notional * den <= ticks * sold * num


class TestHolds:
    @pytest.mark.parametrize(
        ("base", "taker_ppm", "hold"),
        [
            (SHARE, 0, 278_510_000),
            (SHARE, 1000, 278_788_510),
            (1, 0, 3),  # 2.7851
            (1, 77_160, 3),  # 2.99999…
            (1, 77_170, 4),  # 3.00002…
            (SHARE, -200, 278_510_000),  # a rebate is nothing to count on
        ],
    )
    def test_of_a_quantity_round_up_once(self, base: int, taker_ppm: int, hold: int) -> None:
        assert CENT.hold_for(27_851, base, taker_ppm) == hold

    @pytest.mark.parametrize(
        ("notional", "taker_ppm", "hold"),
        [
            (25_000_000, 1000, 25_025_000),
            (25_000_001, 1000, 25_025_002),  # 25,025,001.001
            (999_999, 1, 1_000_000),  # 999,999.999999
            (1_000_000, 1, 1_000_001),  # to the unit
            (25_000_000, 0, 25_000_000),
            (25_000_000, -200, 25_000_000),
        ],
    )
    def test_of_a_notional_round_up_once(self, notional: int, taker_ppm: int, hold: int) -> None:
        assert rules.hold_for_notional(notional, taker_ppm) == hold

    @pytest.mark.parametrize(
        ("rate", "fee"), [("0.001", 24), ("-0.0002", -4), ("0", 0), ("0.000001", 0)]
    )
    def test_leave_room_for_fees_rounded_toward_zero(self, rate: str, fee: int) -> None:
        assert rules.fee(24_999, Decimal(rate)) == fee


class TestCollar:
    @pytest.mark.parametrize(
        ("side", "worst"),
        [("buy", "292.42"), ("sell", "264.58")],  # 292.425 and 264.575
    )
    def test_is_on_a_tick_inside_the_width(self, side: str, worst: str) -> None:
        terms = {"width": Decimal("0.05"), "tick": Decimal("0.01")}
        assert rules.collar(Decimal("278.50"), side=side, **terms) == Decimal(worst)

    def test_is_at_least_a_tick(self) -> None:
        terms = {"width": Decimal("0.99"), "tick": Decimal("0.01")}
        assert rules.collar(Decimal("0.01"), side="sell", **terms) == Decimal("0.01")
        assert rules.collar(Decimal("0.004"), side="buy", **terms) == Decimal("0.01")


class TestBelievable:
    @pytest.mark.parametrize(
        ("price", "before", "believable"),
        [
            (1, None, True),
            (0, None, False),
            (-1, None, False),
            (9_999, 100, True),
            (10_000, 100, False),
            (100, 9_999, True),
            (100, 10_000, False),
            (0, 100, False),
        ],
    )
    def test_is_a_positive_price_less_than_a_hundred_times_off(
        self, price: int, before: int | None, *, believable: bool
    ) -> None:
        assert rules.is_believable(price, before) is believable


class TestMinimum:
    def test_is_met_by_exactly_as_much(self) -> None:
        rules.check_minimum(1_000_000, Decimal(1), field="notional")
        with pytest.raises(rules.BelowMinimum, match=r"\$1\.00") as refusal:
            rules.check_minimum(999_999, Decimal(1), field="notional")
        assert refusal.value.field == "notional"


class TestCovers:
    @pytest.mark.parametrize(
        ("dollars", "covered"),
        [
            (269_999, False),
            (270_000, True),  # as the page says what 27.8512 cents are
            (278_512, True),
            (290_000, True),  # 4 % more are 28.965248 cents
            (290_001, False),
        ],
    )
    def test_from_what_is_shown_up_to_a_collar_more(self, dollars: int, *, covered: bool) -> None:
        assert rules.covers(dollars, 278_512, collar=Decimal("0.04")) is covered

    @pytest.mark.parametrize(("dollars", "covered"), [(1, True), (10_000, True), (10_001, False)])
    def test_less_than_a_cent_by_a_cent_at_most(self, dollars: int, *, covered: bool) -> None:
        assert rules.covers(dollars, 9_000, collar=Decimal("0.04")) is covered


class TestHouse:
    @pytest.mark.parametrize(
        ("position", "moved"),
        [("0", "0"), ("50000", "-1.5"), ("100000", "-3"), ("100001", "-3"), ("-250000", "3")],
    )
    def test_leans_against_its_position(self, position: str, moved: str) -> None:
        terms: dict[str, Any] = {"full_usd": 100_000, "skew": Decimal("0.6"), "first_bp": 5}
        assert rules.lean(Decimal(position), **terms) == Decimal(moved)

    def test_quotes_its_levels_around_the_price(self) -> None:
        bids, asks = rules.house_levels(
            Decimal("278.50"), tick=Decimal("0.01"), away_bp=[4, 10], sizes_usd=[100, 300]
        )
        assert bids == [(27_838, 100_000_000), (27_822, 300_000_000)]  # 278.3886, 278.2215
        assert asks == [(27_862, 100_000_000), (27_878, 300_000_000)]  # 278.6114, 278.7785

    def test_moves_both_sides_by_its_lean(self) -> None:
        bids, asks = rules.house_levels(
            Decimal(100), tick=Decimal("0.01"), away_bp=[4], sizes_usd=[1], lean_bp=Decimal(-3)
        )
        assert (bids, asks) == ([(9_993, 1_000_000)], [(10_001, 1_000_000)])

    def test_keeps_its_levels_apart_and_above_nothing(self) -> None:
        bids, asks = rules.house_levels(
            Decimal("0.025"), tick=Decimal("0.01"), away_bp=[1, 2, 3], sizes_usd=[1, 2, 3]
        )
        assert [ticks for ticks, _ in bids] == [2, 1]
        assert [ticks for ticks, _ in asks] == [3, 4, 5]
        bids, asks = rules.house_levels(
            Decimal("0.015"), tick=Decimal("0.01"), away_bp=[1, 2], sizes_usd=[1, 2]
        )
        assert (bids, [ticks for ticks, _ in asks]) == ([(1, 1_000_000)], [2, 3])

    def test_keeps_a_level_apart_from_the_one_before_it_not_from_the_first(self) -> None:
        bids, asks = rules.house_levels(
            Decimal(1), tick=Decimal("0.01"), away_bp=[0, 1, 2], sizes_usd=[1, 1, 1]
        )
        assert [ticks for ticks, _ in bids] == [100, 99, 98]
        assert [ticks for ticks, _ in asks] == [100, 101, 102]

    @pytest.mark.parametrize(
        ("position", "ticks"), [("0", 10_000), ("0.5", 10_001), ("-0.5", 10_000)]
    )
    def test_hedges_the_smallest_position_in_its_favor(self, position: str, ticks: int) -> None:
        terms: dict[str, Any] = {"full_usd": 10**6, "slippage_bp": 20}
        found = rules.hedge_ticks(
            Decimal("100.005"), tick=Decimal("0.01"), position_usd=Decimal(position), **terms
        )
        assert found == ticks

    @pytest.mark.parametrize(
        ("position", "ticks"),
        [
            ("0", 27_850),
            ("100000", 27_795),  # 277.943, in our favor
            ("999999", 27_795),
            ("-100000", 27_905),  # 279.057
            ("-150000", 27_905),
            ("50000", 27_823),  # 278.2215
        ],
    )
    def test_concedes_more_the_more_it_holds(self, position: str, ticks: int) -> None:
        terms: dict[str, Any] = {"full_usd": 100_000, "slippage_bp": 20}
        found = rules.hedge_ticks(
            Decimal("278.50"), tick=Decimal("0.01"), position_usd=Decimal(position), **terms
        )
        assert found == ticks

    def test_hedges_at_no_less_than_a_tick(self) -> None:
        terms: dict[str, Any] = {"full_usd": 1, "slippage_bp": 20, "position_usd": Decimal(-1)}
        assert rules.hedge_ticks(Decimal("0.001"), tick=Decimal("0.01"), **terms) == 1

    @pytest.mark.parametrize(
        ("taken", "left"),
        [
            (0, [(Decimal(9), 5), (Decimal(8), 7)]),
            (4, [(Decimal(9), 1), (Decimal(8), 7)]),
            (5, [(Decimal(8), 7)]),
            (6, [(Decimal(8), 6)]),
            (12, []),
            (13, []),
        ],
    )
    def test_has_left_what_was_not_taken(self, taken: int, left: list[Any]) -> None:
        assert rules.left_of([(Decimal(9), 5), (Decimal(8), 7)], taken) == left


class TestPriceGuard:
    """A price within 10 % of the last one is believed; a leap, once it has held for a minute."""

    @pytest.fixture
    def believes(self) -> Any:
        guard = rules.PriceGuard()

        def believes(price: str, second: int, key: int = 1) -> bool:
            now = world.NOW + timedelta(seconds=second)
            return guard.believes(key, Decimal(price), jump_bp=1000, calm_s=60, now=now)

        believes.guard = guard  # type: ignore[attr-defined]
        return believes

    def test_believes_the_first_price_and_what_is_near_the_last(self, believes: Any) -> None:
        assert believes("100", 0)
        assert believes("110", 1)
        assert believes("121", 2)
        assert not believes("133.11", 3)
        assert believes("133.10", 3)
        assert believes("119.79", 4)
        assert not believes("107.81", 5)  # a hair further

    def test_believes_nothing_that_is_no_price(self, believes: Any) -> None:
        assert not believes("0", 0)
        assert not believes("-1", 0)
        assert believes("0.01", 0)

    def test_believes_a_leap_once_it_has_held(self, believes: Any) -> None:
        believes("100", 0)
        assert not believes("50", 10)
        assert not believes("55", 69)  # within reach of where it leapt to
        assert believes("55", 70)
        assert believes("60", 71)

    def test_counts_anew_when_the_leap_leaps(self, believes: Any) -> None:
        believes("100", 0)
        assert not believes("50", 10)
        assert not believes("55.01", 60)
        assert not believes("55.01", 119)
        assert believes("55.01", 120)

    def test_forgets_a_leap_that_came_back(self, believes: Any) -> None:
        believes("100", 0)
        assert not believes("50", 10)
        assert believes("100", 20)
        assert not believes("50", 70)

    def test_begins_anew_with_what_it_forgot(self, believes: Any) -> None:
        believes("100", 0)
        assert not believes("50", 10)
        believes.guard.forget([1])
        assert believes("50", 11)
        assert believes("54", 12)

    def test_remembers_no_leap_of_what_it_forgot(self, believes: Any) -> None:
        believes("100", 0)
        assert not believes("50", 10)
        believes.guard.forget([1])
        assert believes("100", 11)
        assert not believes("50", 75)

    def test_knows_each_instrument_by_itself(self, believes: Any) -> None:
        believes("100", 0)
        assert believes("5", 0, key=2)
        assert not believes("5", 1)


class TestCounter:
    @pytest.mark.parametrize(
        ("age_s", "cost"),
        [(0, 8), (4.9, 8), (5, 6), (10, 5), (15, 4), (45, 2), (90, 1), (299.9, 1), (300, 0)],
    )
    def test_cancelling_costs_less_the_older_it_is(self, age_s: float, cost: int) -> None:
        assert rules.cancel_cost(age_s) == cost

    @pytest.mark.parametrize(("age_s", "cost"), [(0, 4), (4.9, 4), (5, 3), (10, 2), (15, 1)])
    def test_amending_costs_at_least_one(self, age_s: float, cost: int) -> None:
        assert rules.amend_cost(age_s) == cost
