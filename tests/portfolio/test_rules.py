from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio import rules
from portfolio.rules import Open, Part

lots = st.lists(
    st.builds(Open, st.integers(1, 10**14), st.integers(0, 10**14)), min_size=1, max_size=6
)


class TestClose:
    def test_takes_the_oldest_first(self):
        parts = rules.close([Open(10, 100), Open(10, 300)], quantity=15, proceeds=450)
        assert parts == [Part(10, 100, 300), Part(5, 150, 150)]

    def test_rounds_a_share_of_cost_and_of_proceeds_down(self):
        lots = [Open(3, 100), Open(3, 100)]
        assert rules.close(lots, quantity=1, proceeds=50) == [Part(1, 33, 50)]
        assert rules.close(lots, quantity=4, proceeds=50) == [Part(3, 100, 37), Part(1, 33, 13)]

    @given(lots, st.data(), st.integers(0, 10**14))
    def test_conserves_quantity_and_proceeds(self, lots, data, proceeds):
        quantity = data.draw(st.integers(1, sum(lot.remaining for lot in lots)))
        parts = rules.close(lots, quantity=quantity, proceeds=proceeds)
        assert sum(part.quantity for part in parts) == quantity
        assert sum(part.proceeds for part in parts) == proceeds
        assert all(part.quantity > 0 for part in parts)

    @given(lots, st.data())
    def test_conserves_cost_over_any_sequence_of_sales(self, lots, data):
        left, closed = list(lots), 0
        while left:
            most = sum(lot.remaining for lot in left)
            quantity = data.draw(st.integers(max(1, most // 3), most))
            parts = rules.close(left, quantity=quantity, proceeds=0)
            closed += sum(part.cost for part in parts)
            after = [
                Open(lot.remaining - part.quantity, lot.cost - part.cost)
                for lot, part in zip(left, parts, strict=False)
            ]
            left = [lot for lot in after + left[len(parts) :] if lot.remaining]
            assert all(lot.cost >= 0 for lot in left)
        assert closed == sum(lot.cost for lot in lots)

    @given(lots, st.integers(1, 10**6))
    def test_refuses_to_close_more_than_there_is(self, lots, more):
        with pytest.raises(rules.LotsMissing):
            rules.close(lots, quantity=sum(lot.remaining for lot in lots) + more, proceeds=1)

    @given(lots, st.data())
    def test_touches_a_later_lot_only_when_the_earlier_ones_are_gone(self, lots, data):
        quantity = data.draw(st.integers(1, sum(lot.remaining for lot in lots)))
        parts = rules.close(lots, quantity=quantity, proceeds=1)
        for lot, part in list(zip(lots, parts, strict=False))[:-1]:
            assert part == Part(lot.remaining, lot.cost, part.proceeds)


class TestWorth:
    @given(
        st.integers(0, 10**15),
        st.decimals("0.000001", "10000", places=6),
        st.decimals("0.1", "10", places=18),
    )
    def test_never_promises_what_is_not_there(self, base, price, multiplier):
        exact = rules.EXACT.multiply(rules.EXACT.multiply(price, multiplier), Decimal(base))
        assert rules.worth(base, multiplier, price) <= exact / 100

    def test_counts_through_the_multiplier(self):
        assert rules.worth(50_000_000, Decimal(4), Decimal(10)) == 20_000_000
        assert rules.shares(50_000_000, Decimal(4)) == 2


class TestAverageCost:
    def test_is_per_whole_share(self):
        assert rules.average_cost(300_000_000, 150_000_000, Decimal(1)) == 200
        assert rules.average_cost(300_000_000, 150_000_000, Decimal(4)) == 50

    def test_of_nothing_is_not_known(self):
        assert rules.average_cost(0, 0, Decimal(1)) is None


class TestPercent:
    def test_of_nothing_is_not_known(self):
        assert rules.percent(5, 0) is None
        assert rules.percent(-1, 8) == Decimal("-12.50")


class TestEarlierPrice:
    @pytest.mark.parametrize(
        ("change", "before"),
        [
            ("20", "100"),
            ("0", "120"),
            ("-40", "200"),
            ("-99", "12000"),
            ("-100", "0"),
            ("-101", "0"),
        ],
    )
    def test_is_what_a_change_in_percent_began_with(self, change, before):
        assert rules.earlier_price(Decimal(120), Decimal(change)) == Decimal(before)


class TestCostOfAShare:
    @pytest.mark.parametrize(
        ("cost", "base", "multiplier", "average"),
        [
            (100_000_000, 3 * 10**8, "1", "33.333333"),
            (100_000_000, 10**8, "4", "25"),
            (1, 10**8, "1", "0.000001"),
            (0, 10**8, "1", "0"),
        ],
    )
    def test_is_a_shares_in_dollars_rounded_down(self, cost, base, multiplier, average):
        found = rules.average_cost(cost, base, Decimal(multiplier))
        assert found == Decimal(average)

    def test_of_no_shares_is_unknown(self):
        assert rules.average_cost(5, 0, Decimal(1)) is None
