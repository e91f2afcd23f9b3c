from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spending import rules
from spending.rules import Cash, Shares
from trading.rules import fee

prices = st.decimals("0.01", "5000", places=2)
levels = st.lists(st.tuples(prices, st.integers(1, 10**12)), max_size=4).map(
    lambda found: sorted(found, reverse=True)
)
multipliers = st.one_of(
    st.just(Decimal(1)), st.just(Decimal(4)), st.just(Decimal("1.001701196801074"))
)
money = st.integers(0, 10**11)
rates = st.sampled_from([Decimal(0), Decimal("0.001"), Decimal("0.0026"), Decimal("0.25")])


@st.composite
def shares(draw, key=1):
    return Shares(
        key=key,
        available=draw(st.integers(0, 10**12)),
        keep=draw(st.integers(0, 10**11)),
        levels=draw(levels),
        multiplier=draw(multipliers),
        obstacle=draw(st.sampled_from(["", "", "", "asset_halted", "price_stale"])),
        rate=draw(rates),
        room=draw(st.one_of(st.just(rules.UNBOUNDED), money)),
    )


@st.composite
def funding(draw):
    sources = [draw(shares(key)) for key in range(draw(st.integers(0, 3)))]
    if draw(st.booleans()):
        place = draw(st.integers(0, len(sources)))
        sources.insert(place, Cash(draw(money), draw(money)))
    return sources


amounts = st.integers(1, 10**10)


def most(source):
    """Say how many units may be sold; none of them brings more than the best price."""
    depth = sum(size for _, size in source.levels)
    count = min(source.available - source.keep, depth)
    if count <= 0:
        return 0
    within = Fraction(source.room) * 100 / (Fraction(source.levels[0][0] * source.multiplier))
    return min(count, int(within))


class TestPlan:
    @given(amounts, funding())
    def test_never_sells_below_the_floor_nor_beyond_the_quote(self, amount, sources):
        plan = rules.plan(amount=amount, sources=sources)
        offered = {s.key: s for s in sources if isinstance(s, Shares)}
        for sale in plan.sales:
            source = offered[sale.key]
            assert 0 < sale.quantity <= source.available - source.keep
            assert sale.quantity <= sum(size for _, size in source.levels)
            assert not source.obstacle

    @given(amounts, funding())
    def test_never_takes_cash_below_the_floor(self, amount, sources):
        plan = rules.plan(amount=amount, sources=sources)
        cash = [s for s in sources if isinstance(s, Cash)]
        assert plan.cash <= max(0, sum(s.available - s.keep for s in cash))

    @given(amounts, funding())
    def test_covers_the_amount_or_has_sold_everything_it_may(self, amount, sources):
        plan = rules.plan(amount=amount, sources=sources)
        assert plan.covered <= amount
        if plan.covered == amount:
            return
        sold = {sale.key: sale.quantity for sale in plan.sales}
        for source in sources:
            if isinstance(source, Shares) and not source.obstacle:
                left = most(source) - sold.get(source.key, 0)
                # What is left unsold is worth less than a unit of cash.
                assert left == 0 or not sold.get(source.key)

    @given(amounts, funding())
    @example(10_973, [Shares(0, 109_720_001, 0, [(Decimal("0.01"), 109_720_001)]), Cash(1)])
    def test_sells_no_unit_more_than_the_amount_needs(self, amount, sources):
        plan = rules.plan(amount=amount, sources=sources)
        offered = {s.key: s for s in sources if isinstance(s, Shares)}
        brought = plan.cash
        for sale in plan.sales:
            source = offered[sale.key]
            one_less = rules.value_of(sale.price, sale.quantity - 1, source.multiplier)
            # Who sells all keeps no dust, even where the last unit brings nothing.
            one_less -= fee(one_less, source.rate)
            assert brought + one_less < amount + (sale.quantity == most(source))
            brought += sale.net

    @given(amounts, funding())
    def test_a_sale_is_worth_what_the_books_will_say(self, amount, sources):
        multipliers = {s.key: s.multiplier for s in sources if isinstance(s, Shares)}
        for sale in rules.plan(amount=amount, sources=sources).sales:
            exact = sale.price * sale.quantity * multipliers[sale.key] / 100
            assert sale.proceeds <= exact < sale.proceeds + 1
            assert sale.price == sale.price.quantize(Decimal("0.01"))

    @given(amounts, funding())
    def test_nobody_pays_above_the_best_level(self, amount, sources):
        best = {s.key: s.levels[0][0] for s in sources if isinstance(s, Shares) and s.levels}
        for sale in rules.plan(amount=amount, sources=sources).sales:
            assert sale.price <= best[sale.key]

    @given(amounts, funding(), money)
    def test_stays_within_what_the_house_still_buys(self, amount, sources, room):
        plan = rules.plan(amount=amount, sources=sources, room=room)
        rooms = {s.key: s.room for s in sources if isinstance(s, Shares)}
        assert sum(sale.proceeds for sale in plan.sales) <= room
        assert all(sale.proceeds <= rooms[sale.key] for sale in plan.sales)

    @given(amounts, funding())
    def test_sets_aside_only_what_is_left_after_the_fees(self, amount, sources):
        plan = rules.plan(amount=amount, sources=sources)
        offered = {s.key: s for s in sources if isinstance(s, Shares)}
        for sale in plan.sales:
            assert sale.fee == fee(sale.proceeds, offered[sale.key].rate)
        assert plan.covered <= plan.cash + sum(s.proceeds - s.fee for s in plan.sales)

    def test_sells_enough_for_the_fee_too(self):
        source = Shares(7, 10**8, 0, [(Decimal(200), 10**8)], rate=Decimal("0.001"))
        (sale,) = rules.plan(amount=99_900_000, sources=[source]).sales
        assert (sale.quantity, sale.proceeds, sale.fee) == (5 * 10**7, 100_000_000, 100_000)

    def test_goes_on_to_the_next_where_the_house_takes_no_more(self):
        full = Shares(1, 10**9, 0, [(Decimal(100), 10**9)], room=30_000_000)
        other = Shares(2, 10**9, 0, [(Decimal(100), 10**9)])
        plan = rules.plan(amount=100_000_000, sources=[full, other])
        assert [(sale.key, sale.proceeds) for sale in plan.sales] == [
            (1, 30_000_000),
            (2, 70_000_000),
        ]
        assert plan.obstacle == ""
        short = rules.plan(amount=100_000_000, sources=[full, other], room=80_000_000)
        assert (short.covered, short.obstacle) == (80_000_000, "sale_limit")

    def test_takes_cash_first_and_sells_just_enough_of_the_next(self):
        plan = rules.plan(
            amount=60_000_000,
            sources=[Cash(1_000_000), Shares(7, 10**8, 0, [(Decimal("278.50"), 10**8)])],
        )
        assert plan.cash == 1_000_000
        (sale,) = plan.sales
        assert (sale.quantity, sale.proceeds) == (21_184_920, 59_000_002)

    def test_averages_the_price_through_the_levels(self):
        source = Shares(7, 10**9, 0, [(Decimal(200), 10**8), (Decimal(100), 10**9)])
        (sale,) = rules.plan(amount=250_000_000, sources=[source]).sales
        assert sale.price == Decimal("166.66")

    def test_passes_over_what_is_halted_and_says_so_only_if_nothing_else_pays(self):
        halted = Shares(1, 10**8, 0, [], obstacle="asset_halted")
        assert rules.plan(amount=5, sources=[halted, Cash(5)]).obstacle == ""
        assert rules.plan(amount=5, sources=[halted, Cash(4)]).obstacle == "asset_halted"


class TestLuhnDigit:
    def test_completes_a_known_number(self):
        assert rules.luhn_digit("424242424242424") == "2"
        assert rules.luhn_digit("7992739871") == "3"


class TestLifetime:
    def test_gives_lodging_a_month_and_others_a_week(self):
        assert rules.lifetime_days("7011") == 31
        assert rules.lifetime_days("5814") == 7


class TestIsExpired:
    @pytest.mark.parametrize(
        ("today", "expired"),
        [
            (date(2029, 11, 30), False),
            (date(2029, 12, 1), False),
            (date(2029, 12, 31), False),
            (date(2030, 1, 1), True),
        ],
    )
    def test_is_after_the_last_day_of_the_month_printed(self, today, expired):
        assert rules.is_expired(date(2029, 12, 1), today) is expired
        assert rules.is_expired(date(2029, 12, 31), today) is expired
