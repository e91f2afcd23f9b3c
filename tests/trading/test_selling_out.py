"""Who sells all they are shown to have, has nothing left, at any multiplier."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trading.operations
from common.errors import DomainError
from common.invariants import find_breaks
from ledger.operations import InsufficientFunds
from tests import world
from trading import rules
from trading.models import Order
from trading.operations import acceptance
from trading.queries import CHECKS, scale_of
from trading.rules import Scale
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

multipliers = st.decimals("0.001", 100, places=18).filter(bool)


class TestTheCount:
    @given(base=st.integers(1, 10**14), multiplier=multipliers)
    def test_of_what_is_shown_has_all_that_is_shown_so(
        self, base: int, multiplier: Decimal
    ) -> None:
        scale = Scale(Decimal("0.01"), multiplier)
        shown = scale.shares(base)
        if shown:
            sold = scale.base(shown, selling=True)
            assert sold >= base
            assert scale.shares(sold) == shown < scale.shares(sold + 1)

    @given(base=st.integers(1, 10**14), multiplier=st.decimals(1, 100, places=18))
    def test_is_exact_where_a_share_is_no_less_than_a_base_unit(
        self, base: int, multiplier: Decimal
    ) -> None:
        scale = Scale(Decimal("0.01"), multiplier)
        assert scale.base(scale.shares(base), selling=True) == base

    def test_of_the_odd_one_left_a_unit_for_ever(self) -> None:
        scale = Scale(Decimal("0.01"), Decimal("1.003731234567"))
        base = scale.base(Decimal("7.82910362"), selling=True)
        assert scale.base(Decimal("7.82910362")) == base - 1
        assert scale.shares(base) == Decimal("7.82910362")


class TestSellingOut:
    @pytest.fixture
    def alice(self, floor: "Floor") -> User:
        world.fund(world.alice(), "1000")
        return world.alice()

    def bids(self, floor: "Floor", price: str = "278") -> None:
        """Have Carol wait to buy."""
        world.fund(world.carol(), "10000")
        floor.place(world.carol(), "buy", quantity="10", limit_price=price)
        floor.run()

    def test_leaves_nothing_at_an_odd_multiplier(self, floor: "Floor", alice: User) -> None:
        world.give(alice, floor.instrument, "7.80000003")
        floor.propose_action(
            kind="dividend",
            event="A dividend",
            ratio_to=None,
            ratio_from=None,
            net_amount="0.373123",
            reinvestment_price="100",
        )
        floor.live_through(world.NOW + timedelta(days=2))
        assert floor.instrument.multiplier == Decimal("1.00373123")
        self.bids(floor)
        shown = scale_of(floor.instrument).shares(780_000_003)
        floor.place(alice, "sell", quantity=str(shown), limit_price="278")
        floor.run()
        assert world.balance(alice, "AAPLx") == 0

    @pytest.mark.parametrize("kind", ["market", "limit"])
    def test_may_be_worth_less_than_the_smallest_order(
        self, floor: "Floor", alice: User, kind: str
    ) -> None:
        world.give(alice, floor.instrument, "0.00000007")
        self.bids(floor)
        price = {"limit_price": "279"} if kind == "limit" else {}
        order = floor.ask(alice, "sell", kind, quantity="0.00000007", **price)
        floor.run()
        order.refresh_from_db()
        if kind == "market":
            assert order.status == Order.Status.FILLED
            assert world.balance(alice, "AAPLx") == 0
        else:
            assert (order.status, order.sells_out) == (Order.Status.OPEN, True)
            changed = {"limit_price": Decimal(280), "now": world.NOW}
            assert trading.operations.amend_order(order=order, **changed)
            with pytest.raises(rules.BelowMinimum):
                trading.operations.amend_order(
                    order=order, quantity=Decimal("0.00000006"), now=world.NOW
                )
        assert list(find_breaks(check for check in CHECKS if check.number == 17)) == []

    def test_is_no_way_to_sell_in_crumbs(self, floor: "Floor", alice: User) -> None:
        """All there is means all: not what an order leaves beside what it holds."""
        world.give(alice, floor.instrument, "1.00000007")
        with pytest.raises(rules.BelowMinimum):
            floor.place(alice, "sell", quantity="0.00000007")
        floor.place(alice, "sell", quantity="1", limit_price="300")
        with pytest.raises(rules.BelowMinimum):
            floor.place(alice, "sell", quantity="0.00000007")

    @pytest.mark.parametrize(
        ("kind", "dollars", "terms"),
        [
            ("market", "0.27", {}),
            ("market", "0.28", {}),
            ("market", "0.01", {"shares": "0.00000007"}),
            ("limit", "0.27", {"limit_price": "278.50"}),
            ("limit", "0.27", {"limit_price": "278.50", "reduce_only": True}),
            ("stop-loss", "0.20", {"trigger_price": "200"}),
            ("market", "27.85", {"shares": "0.10000003"}),  # $27.850008
        ],
    )
    def test_by_dollars_that_cover_it_sells_all(
        self, floor: "Floor", alice: User, kind: str, dollars: str, terms: dict[str, Any]
    ) -> None:
        shares = terms.pop("shares", "0.001")
        terms = {"notional": dollars, **terms}
        world.give(alice, floor.instrument, shares)
        asked = {"draft": floor.draft("sell", kind, **terms), "customer": alice, "now": world.NOW}
        preview = trading.operations.validate_order(**asked)
        assert preview.estimated_quantity == Decimal(shares)
        self.bids(floor, "278.50")
        order = floor.ask(alice, "sell", kind, **terms)
        assert scale_of(floor.instrument).shares(order.quantity or 0) == Decimal(shares)
        assert (order.notional, order.sells_out) == (None, Decimal(dollars) < Decimal("0.5"))
        floor.run()
        assert world.balance(alice, "AAPLx") == (Decimal(shares) if kind == "stop-loss" else 0)
        assert list(find_breaks(check for check in CHECKS if check.number == 17)) == []

    @pytest.mark.parametrize(
        ("dollars", "refusal"),
        [("0.26", rules.BelowMinimum), ("0.40", InsufficientFunds), ("1.00", InsufficientFunds)],
    )
    def test_by_dollars_that_do_not_match_is_refused(
        self, floor: "Floor", alice: User, dollars: str, refusal: type[DomainError]
    ) -> None:
        world.give(alice, floor.instrument, "0.001")
        with pytest.raises(refusal) as refused:
            floor.place(alice, "sell", notional=dollars)
        assert refused.value.field == "notional"

    def test_by_dollars_is_not_all_while_orders_hold_some(
        self, floor: "Floor", alice: User
    ) -> None:
        world.give(alice, floor.instrument, "0.201")
        floor.place(alice, "sell", quantity="0.2", limit_price="300")
        with pytest.raises(rules.BelowMinimum):
            floor.place(alice, "sell", notional="0.26")
        with pytest.raises(InsufficientFunds):
            floor.place(alice, "sell", notional="55.97")

    def test_by_halves_of_one_call_is_not_all(self, floor: "Floor", alice: User) -> None:
        world.give(alice, floor.instrument, "0.00000007")
        drafts = [floor.draft("sell", "market", quantity=f"0.0000000{part}") for part in (4, 3, 7)]
        results = trading.operations.place_orders(drafts=drafts, customer=alice, now=world.NOW)
        assert [type(one) for one in results] == [rules.BelowMinimum, rules.BelowMinimum, Order]

    def test_takes_what_there_is_where_several_counts_are_shown_alike(
        self, floor: "Floor", alice: User
    ) -> None:
        """At a multiplier of a tenth ten base units are shown as one: the sale is capped."""
        scale = Scale(Decimal("0.01"), Decimal("0.1"))
        shown = scale.shares(1_000_000_003)
        assert scale.base(shown, selling=True) == 1_000_000_009
        floor.instrument.multiplier = Decimal("0.1")
        draft = floor.draft("sell", "limit", quantity=str(shown), limit_price="2785")
        conditions = acceptance.conditions_for([draft], alice, world.NOW)
        terms = acceptance.terms_of(draft, conditions)
        assert terms.within(1_000_000_003).base == terms.within(1_000_000_003).budget
        assert terms.within(1_000_000_003).base == 1_000_000_003
        assert terms.within(999_999_999) is terms
