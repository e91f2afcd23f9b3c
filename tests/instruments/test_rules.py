from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments import rules
from instruments.rules import Terms

parts = st.integers(1, rules.BIGGEST_RATIO)
dollars = st.decimals("0.000001", 9999, places=6)
HALF = Fraction(1, 2 * 10**18)


def split(to, from_, kind="split"):
    return Terms(kind, ratio_to=to, ratio_from=from_)


def dividend(net, price):
    return Terms("dividend", net_amount=Decimal(net), reinvestment_price=Decimal(price))


@given(to=parts, from_=parts)
def test_a_split_multiplies_by_its_ratio(to, from_):
    kind = "split" if to > from_ else "reverse_split"
    terms = split(to, from_, kind)
    assert (rules.wrong_with(terms) is None) == (to != from_)
    after = rules.multiplier_after(Decimal("1.234"), terms)
    assert abs(Fraction(after) - Fraction("1.234") * to / from_) <= HALF


@given(net=dollars, price=dollars)
def test_a_dividend_grows_by_less_than_a_fifth(net, price):
    terms = dividend(net, price)
    assert (rules.wrong_with(terms) is None) == (net * 5 < price)
    if rules.wrong_with(terms) is None:
        assert 1 < rules.factor(terms) < Fraction(6, 5)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (split(1, 4), "ratio_to"),
        (split(4, 1, "reverse_split"), "ratio_to"),
        (split(3, 3), "ratio_to"),
        (split(0, 1), "ratio_to"),
        (split(4, None), "ratio_from"),
        (split(1001, 1), "ratio_to"),
        (Terms("split", 4, 1, Decimal(1)), "net_amount"),
        (Terms("dividend", 4, 1, Decimal(1), Decimal(100)), "ratio_to"),
        (dividend("0", "100"), "net_amount"),
        (dividend("20", "100"), "net_amount"),
        (dividend("1", "0"), "reinvestment_price"),
    ],
)
def test_terms_that_explain_nothing_are_named(terms, field):
    assert rules.wrong_with(terms)[0] == field
