"""The smallest order is one for which so much can be paid: a limit that nobody pays is no value."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import trading.operations
from market.models import ReferencePrice
from tests import world
from trading import rules
from trading.models import Command, Order
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

FAR = "99999999.99"
DUST = "0.00000001"
ODD_LIMITS: list[tuple[str, str, dict[str, str]]] = [
    ("buy", "limit", {"quantity": DUST, "limit_price": FAR}),
    ("sell", "limit", {"quantity": DUST, "limit_price": FAR}),
    ("buy", "limit", {"notional": "0.99", "limit_price": FAR}),
    ("sell", "limit", {"notional": "0.99", "limit_price": FAR}),
    ("sell", "iceberg", {"quantity": DUST, "limit_price": FAR, "display_quantity": DUST}),
    ("buy", "stop-loss", {"quantity": DUST, "trigger_price": FAR}),
    ("buy", "stop-loss-limit", {"quantity": DUST, "limit_price": FAR, "trigger_price": FAR}),
    ("sell", "take-profit", {"quantity": DUST, "trigger_price": FAR}),
    (
        "buy",
        "trailing-stop-limit",
        {"quantity": DUST, "trail": "1", "limit_offset": "99999000"},
    ),
    ("buy", "limit", {"quantity": "0.0017", "limit_price": "400"}),  # $0.68 there, $0.47 here
    ("buy", "market", {"quantity": "0.00179"}),  # $0.4985 at the reference, $0.52 at the collar
]


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "1000")
    world.give(alice, floor.instrument, "10")
    return alice


class TestTheMinimum:
    @pytest.mark.parametrize(("side", "kind", "terms"), ODD_LIMITS)
    def test_is_of_what_can_be_paid(
        self, floor: "Floor", alice: User, side: str, kind: str, terms: dict[str, Any]
    ) -> None:
        with pytest.raises(rules.BelowMinimum, match=r"\$0\.50"):
            floor.ask(alice, side, kind, **terms)
        draft = floor.draft(side, kind, **terms)
        with pytest.raises(rules.BelowMinimum):
            trading.operations.validate_order(draft=draft, customer=alice, now=world.NOW)
        [refused] = trading.operations.place_orders(drafts=[draft], customer=alice, now=world.NOW)
        assert isinstance(refused, rules.BelowMinimum)
        assert not Command.objects.filter(kind="place").exists()

    def test_holds_while_the_price_is_stale(self, floor: "Floor", alice: User) -> None:
        ReferencePrice.objects.update(at=world.NOW - timedelta(days=3))
        with pytest.raises(rules.BelowMinimum):
            floor.place(alice, "buy", quantity=DUST, limit_price=FAR)
        assert floor.place(alice, "buy", quantity="0.01", limit_price="270")

    @pytest.mark.parametrize(
        ("side", "kind", "terms"),
        [
            ("buy", "market", {"notional": "0.50"}),
            ("buy", "market", {"quantity": "0.0018"}),
            ("buy", "limit", {"notional": "0.50", "limit_price": "290"}),
            ("buy", "limit", {"quantity": "0.0018", "limit_price": "300"}),
            ("sell", "limit", {"quantity": "0.0018", "limit_price": "300"}),
            ("sell", "limit", {"notional": "0.50", "limit_price": "200"}),
        ],
    )
    def test_lets_the_smallest_order_pass(
        self, floor: "Floor", alice: User, side: str, kind: str, terms: dict[str, Any]
    ) -> None:
        assert floor.ask(alice, side, kind, **terms).status == Order.Status.PENDING

    @pytest.mark.parametrize("sequenced", [True, False])
    @pytest.mark.parametrize("side", ["buy", "sell"])
    def test_holds_for_what_an_order_is_changed_into(
        self, floor: "Floor", alice: User, side: str, *, sequenced: bool
    ) -> None:
        price = "270" if side == "buy" else "290"
        order = floor.place(alice, side, quantity="0.1", limit_price=price)
        dollars = floor.place(alice, side, notional="0.99", limit_price=price)
        if sequenced:
            floor.run()
        for one, change in ((order, {"quantity": Decimal(DUST)}), (dollars, {})):
            one.refresh_from_db()
            with pytest.raises(rules.BelowMinimum):
                trading.operations.amend_order(
                    order=one, limit_price=Decimal(FAR), now=world.NOW, **change
                )

    def test_holds_for_what_is_left_of_a_filled_order(self, floor: "Floor", alice: User) -> None:
        floor.offer("0.05", "278.60")
        order = floor.place(alice, "buy", quantity="0.1", limit_price="278.60")
        floor.run()
        order.refresh_from_db()
        assert order.filled == 5_000_000
        with pytest.raises(rules.BelowMinimum):
            trading.operations.amend_order(
                order=order,
                quantity=Decimal("0.05") + Decimal(DUST),
                limit_price=Decimal(FAR),
                now=world.NOW,
            )
