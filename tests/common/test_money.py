from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import (
    MAX_UNITS,
    USD,
    Amount,
    AmountInvalid,
    AssetsDiffer,
    Receipt,
    Unit,
    ceil_units,
    cents,
    count,
    floor_units,
    in_dollars,
    parse_decimal,
)

APPLE = Unit("AAPLx", 8)
assets = st.builds(Unit, st.sampled_from(["USD", "AAPLx"]), st.integers(0, 12))
units = st.integers(-MAX_UNITS, MAX_UNITS)
decimals = st.decimals(-(10**12), 10**12, places=18)


class TestAmount:
    @given(units, assets)
    def test_is_read_back_as_it_was_written(self, count: int, asset: Unit) -> None:
        amount = Amount(count, asset)
        assert Amount.parse(str(amount), asset) == amount
        assert Amount.parse(amount.decimal, asset) == amount

    @given(units, assets)
    def test_is_written_with_all_decimals_and_no_exponent(self, count: int, asset: Unit) -> None:
        whole, _, decimals = str(Amount(count, asset)).partition(".")
        assert len(decimals) == asset.scale
        assert set(whole + decimals) <= set("-0123456789")
        assert Fraction(f"{whole}.{decimals}0") == Fraction(count, 10**asset.scale)

    @given(units, units)
    def test_adds_and_compares_as_its_units_do(self, one: int, other: int) -> None:
        a, b = Amount(one, USD), Amount(other, USD)
        assert (a + b).units == one + other
        assert (a - b).units == one - other
        assert (-a).units == -one
        assert ((a < b), (a <= b)) == ((one < other), (one <= other))
        assert ((a > b), (a >= b)) == ((one > other), (one >= other))
        assert (a == b) == (one == other)
        assert bool(a) == bool(one)

    @pytest.mark.parametrize(
        "combine",
        [
            lambda a, b: a + b,
            lambda a, b: a - b,
            lambda a, b: a < b,
            lambda a, b: a <= b,
            lambda a, b: a > b,
            lambda a, b: a >= b,
        ],
    )
    def test_of_two_assets_never_mix(self, combine) -> None:
        with pytest.raises(AssetsDiffer):
            combine(Amount(1, USD), Amount(1, APPLE))
        assert Amount(1, USD) != Amount(1, APPLE)

    def test_is_the_same_whichever_way_its_asset_is_known(self) -> None:
        """The ledger's row of USD and the bare unit are one asset."""

        class Row:
            code, scale = "USD", 6

        row, bare = Amount(5, Row()), Amount(5, USD)
        assert row == bare
        assert hash(row) == hash(bare)
        assert row + bare == Amount(10, USD)
        assert row != 5

    def test_refuses_more_decimals_than_the_asset_counts(self) -> None:
        assert Amount.parse("0.000001", USD).units == 1
        assert Amount.parse("1.500000000", USD).units == 1_500_000
        with pytest.raises(AmountInvalid, match="6 decimals") as refusal:
            Amount.parse("0.0000001", USD, field="amount")
        assert refusal.value.field == "amount"

    def test_refuses_more_than_can_be_counted(self) -> None:
        assert Amount.parse("9223372036854.775807", USD).units == MAX_UNITS
        with pytest.raises(AmountInvalid):
            Amount.parse("9223372036854.775808", USD)

    @given(st.text() | st.floats().map(str) | st.from_regex(r"[-+0-9_.eE ]{1,70}"))
    def test_reads_anything_or_refuses_it_by_name(self, text: str) -> None:
        try:
            amount = Amount.parse(text, USD)
        except AmountInvalid:
            return
        assert Fraction(text.strip()) == Fraction(amount.units, 10**6)


class TestParseDecimal:
    @pytest.mark.parametrize(
        "text",
        [
            *("", " ", "NaN", "-Infinity", "sNaN", "1,5", "$5", "five", "0x10", "1e31", "1e-31"),
            *("1_000", "\u0663", "\uff11\uff12", "9" * 41, "1" + "0" * 60),
            *("1e999999999", "0e-999999999"),
        ],
    )
    def test_refuses(self, text: str) -> None:
        with pytest.raises(AmountInvalid):
            parse_decimal(text)

    def test_refuses_what_a_float_made_of_a_price(self) -> None:
        with pytest.raises(AmountInvalid):
            parse_decimal(Decimal(1 / 10))

    @pytest.mark.parametrize("value", [None, [], {}, object(), (1, 2)])
    def test_refuses_what_json_may_bring_instead(self, value) -> None:
        with pytest.raises(AmountInvalid):
            parse_decimal(value)

    @pytest.mark.parametrize("text", ["12.50", "0", "-0.1", "+3", " 4.50 ", ".5", "5."])
    def test_reads(self, text: str) -> None:
        assert parse_decimal(text) == Decimal(text)


class TestRounding:
    @given(decimals, assets)
    def test_floor_and_ceiling_enclose_the_value(self, value: Decimal, asset: Unit) -> None:
        exact = Fraction(value) * 10**asset.scale
        low, high = floor_units(value, asset), ceil_units(value, asset)
        assert low <= exact <= high
        assert high - low == (0 if exact.denominator == 1 else 1)

    def test_a_cost_is_floored_and_a_hold_is_not_short(self) -> None:
        cost = Decimal("278.43") * Decimal(3) / Decimal(10**8)
        assert floor_units(cost, USD) == 8
        assert ceil_units(cost, USD) == 9


class TestLongNumbers:
    @pytest.mark.parametrize(
        "text",
        [
            "0" * 58 + "12",
            "1" + "0" * 30,
            "0." + "0" * 29 + "1",
            "1" * 31 + "." + "1" * 9,
        ],
    )
    def test_reads_the_longest_there_may_be(self, text: str) -> None:
        assert parse_decimal(text) == Decimal(text)

    @pytest.mark.parametrize(
        "text",
        [
            "0" * 59 + "12",
            "1" + "0" * 31,
            "0." + "0" * 30 + "1",
            "1" * 31 + "." + "1" * 10,
            Decimal("NaN"),
            Decimal("Infinity"),
        ],
    )
    def test_refuses_the_next(self, text: str | Decimal) -> None:
        with pytest.raises(AmountInvalid):
            parse_decimal(text)


class TestReceipt:
    @pytest.mark.parametrize(
        ("cost", "fee", "buying", "parts"),
        [
            (49_999_998, 49_999, True, ("50.00", "0.05", "50.05")),
            (278_040_000, 278_040, False, ("278.04", "0.28", "277.76")),
            (24_999_998, 24_999, True, ("25.00", "0.03", "25.03")),
            (25_000_002, 25_000, False, ("25.00", "0.03", "24.97")),
            (250_190_000, 50_038, True, ("250.19", "0.06", "250.25")),  # 250.240038 left
            (24_991_000, 49, True, ("25.00", "0.00", "25.00")),
            (24_994_000, -1_000, True, ("25.00", "0.00", "25.00")),
            (24_994_000, 0, True, ("25.00", "0.00", "25.00")),
            (100_000_000, -20_000, True, ("100.00", "-0.02", "99.98")),
            (100_000_000, -20_000, False, ("100.00", "-0.02", "100.02")),
            (1, 0, True, ("0.01", "0.00", "0.01")),
            (9_999, 0, False, ("0.00", "0.00", "0.00")),
        ],
    )
    def test_rounds_against_who_reads_it(
        self, cost: int, fee: int, *, buying: bool, parts: tuple[str, str, str]
    ) -> None:
        receipt = Receipt.of(cost=cost, fee=fee, buying=buying)
        assert (receipt.cost, receipt.fee, receipt.total) == tuple(map(Decimal, parts))

    @given(cost=st.integers(0, 10**15), rate=st.integers(-1000, 10_000), buying=st.booleans())
    def test_adds_up_to_the_cent(self, cost: int, rate: int, *, buying: bool) -> None:
        fee = cost * abs(rate) // 10**6 * (1 if rate > 0 else -1)
        receipt = Receipt.of(cost=cost, fee=fee, buying=buying)
        assert receipt.total - receipt.cost == (receipt.fee if buying else -receipt.fee)
        exact = Amount(cost + fee if buying else cost - fee, USD).decimal
        cent = Decimal("0.01")
        assert 0 <= (receipt.total - exact if buying else exact - receipt.total) < cent
        assert abs(receipt.fee - Amount(fee, USD).decimal) < cent
        assert abs(receipt.cost - Amount(cost, USD).decimal) < cent
        assert receipt.fee * fee >= 0  # a fee never looks like a rebate, nor the other way round
        assert fee or not receipt.fee

    @given(dollars=st.integers(1, 10**6), less=st.integers(0, 5), rate=st.integers(0, 10_000))
    def test_says_the_dollars_that_were_asked_for(self, dollars: int, less: int, rate: int) -> None:
        """An order by dollars costs some units less, since it buys whole base units."""
        cost = dollars * 10**6 - less
        assert Receipt.of(cost=cost, fee=cost * rate // 10**6, buying=True).cost == dollars

    @given(paid=st.lists(st.integers(1, 10**9), max_size=8))
    def test_never_says_that_less_was_paid_than_the_balance_fell_by(self, paid: list[int]) -> None:
        """The balance is shown rounded down, what was paid rounded up."""
        balance = 10**10
        for cost in paid:
            after = balance - cost
            shown = cents(balance, ROUND_FLOOR) - cents(after, ROUND_FLOOR)
            total = Receipt.of(cost=cost, fee=0, buying=True).total
            assert shown <= total <= shown + Decimal("0.01")
            balance = after


class TestInDollars:
    def test_rounds_down_unless_it_is_told(self) -> None:
        assert (in_dollars(19_999), in_dollars(19_999, ROUND_CEILING)) == ("$0.01", "$0.02")

    @pytest.mark.parametrize(
        ("units", "rounding", "said"),
        [
            (1_234_567_890, ROUND_FLOOR, "$1,234.56"),
            (1_234_561_000, ROUND_CEILING, "$1,234.57"),
            (-250_000_000, ROUND_FLOOR, "$250.00"),
            (0, ROUND_FLOOR, "$0.00"),
        ],
    )
    def test_says_dollars_to_the_cent(self, units: int, rounding: str, said: str) -> None:
        assert in_dollars(units, rounding) == said


class TestCount:
    @pytest.mark.parametrize(
        ("shares", "said"),
        [
            ("0.57629999", "0.5762"),
            ("1234.50000000", "1,234.5"),
            ("0.00001234", "0.00001234"),
            ("0", "0"),
        ],
    )
    def test_says_four_decimals_where_they_say_enough(self, shares: str, said: str) -> None:
        assert count(Decimal(shares)) == said
