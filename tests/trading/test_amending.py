from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import trading.operations
from common.errors import DomainError
from ledger.models import Account
from ledger.operations import InsufficientFunds
from tests import world
from trading.models import Order
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

LIMIT, STOP = {"limit_price": "100"}, {"trigger_price": "300"}
# A type with its terms, a change it does not take, the refusal's name and field.
SENSELESS: list[tuple[str, dict[str, str], dict[str, str], str, str]] = [
    ("limit", LIMIT, {}, "NothingToAmend", "quantity"),
    ("limit", LIMIT, {"quantity": "0"}, "NotPositive", "quantity"),
    ("limit", LIMIT, {"limit_price": "1.001"}, "PriceOffTick", "limit_price"),
    ("limit", LIMIT, {"quantity": "0.001"}, "BelowMinimum", "quantity"),
    ("limit", LIMIT, {"trigger_price": "5"}, "TermNotTaken", "trigger_price"),
    ("market", {}, {"quantity": "2"}, "TermNotTaken", "quantity"),
    ("stop-loss", STOP, {"limit_price": "5"}, "TermNotTaken", "limit_price"),
    ("stop-loss", STOP, {"trigger_price": "278.50"}, "TriggersAtOnce", "trigger_price"),
]


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "1000")
    world.give(alice, floor.instrument, "10")
    return alice


def held(user: User, code: str = "USD") -> int:
    return Account.objects.get(owner=user, asset__code=code).held


def amend(floor: "Floor", order: Order, **change: str) -> Order:
    """Have an order changed as it now stands, and see what became of it."""
    order.refresh_from_db()
    decimals: dict[str, Any] = {name: Decimal(value) for name, value in change.items()}
    trading.operations.amend_order(order=order, now=world.NOW, **decimals)
    floor.run()
    order.refresh_from_db()
    return order


class TestAmending:
    def test_a_stop_that_moves_holds_what_it_can_now_cost(
        self, floor: "Floor", alice: User
    ) -> None:
        order = floor.ask(alice, "buy", "stop-loss", quantity="1", trigger_price="300")
        floor.run()
        assert held(alice) == 315_315_000  # 5 % above the trigger, and the fee
        amend(floor, order, trigger_price="320")
        assert (order.trigger_price, order.worst_price) == (320, 336)
        assert held(alice) == 336_336_000
        amend(floor, order, trigger_price="290", quantity="0.5")
        assert (order.trigger_price, order.quantity) == (290, 5 * 10**7)
        assert held(alice) == 152_402_250

    def test_a_stop_limit_moves_both_its_prices(self, floor: "Floor", alice: User) -> None:
        order = floor.ask(
            alice, "sell", "stop-loss-limit", quantity="1", trigger_price="250", limit_price="249"
        )
        floor.run()
        amend(floor, order, trigger_price="251", limit_price="248.50", quantity="2")
        assert (order.trigger_price, order.limit_price) == (251, Decimal("248.50"))
        assert held(alice, "AAPLx") == 2 * 10**8

    def test_an_iceberg_shrinks_but_does_not_outgrow_its_display(
        self, floor: "Floor", alice: User
    ) -> None:
        order = floor.ask(
            alice, "buy", "iceberg", quantity="1", limit_price="100", display_quantity="0.1"
        )
        floor.run()
        assert amend(floor, order, quantity="0.6").quantity == 6 * 10**7
        with pytest.raises(DomainError) as refusal:
            amend(floor, order, quantity="1.6")
        assert (refusal.value.code, refusal.value.field) == ("DisplayOutOfBounds", "quantity")

    def test_a_trailing_stop_changes_its_quantity(self, floor: "Floor", alice: User) -> None:
        order = floor.ask(alice, "sell", "trailing-stop", quantity="1", trail_percent="2")
        floor.run()
        assert amend(floor, order, quantity="3").quantity == 3 * 10**8
        assert held(alice, "AAPLx") == 3 * 10**8

    def test_an_order_by_dollars_changes_its_price(self, floor: "Floor", alice: User) -> None:
        order = floor.ask(alice, "buy", "limit", notional="100", limit_price="100")
        floor.run()
        amend(floor, order, limit_price="50")
        assert order.limit_price == 50
        assert order.engine_state["remaining"] == 2 * 10**8
        assert held(alice) == 100_100_000

    def test_a_smaller_quantity_keeps_the_place_and_a_larger_loses_it(
        self, floor: "Floor", alice: User
    ) -> None:
        order = floor.place(alice, "buy", quantity="2", limit_price="100")
        floor.run()
        order.refresh_from_db()
        place = order.engine_state["priority"]
        assert amend(floor, order, quantity="1").engine_state["priority"] == place
        assert amend(floor, order, quantity="3").engine_state["priority"] > place

    def test_what_is_not_covered_changes_nothing(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", quantity="2", limit_price="100")
        floor.run()
        with pytest.raises(InsufficientFunds):
            amend(floor, order, quantity="11")
        order.refresh_from_db()
        assert order.quantity == 2 * 10**8
        assert order.commands.count() == 1

    def test_what_makes_no_sense_is_named(self, floor: "Floor", alice: User) -> None:
        for kind, terms, change, code, field in SENSELESS:
            order = floor.ask(alice, "buy", kind, quantity="0.1", **terms)
            with pytest.raises(DomainError) as refusal:
                amend(floor, order, **change)
            assert (refusal.value.code, refusal.value.field) == (code, field)
            assert not order.commands.filter(kind="amend").exists()

    def test_a_fired_trigger_cannot_be_changed(self, floor: "Floor", alice: User) -> None:
        order = floor.ask(
            alice, "buy", "stop-loss-limit", quantity="1", trigger_price="279", limit_price="270"
        )
        floor.offer("1", "280")
        dave = world.active("dave@demo.test")
        world.fund(dave, "1000")
        floor.place(dave, "buy", quantity="0.5", limit_price="280")
        floor.run()
        with pytest.raises(DomainError) as refusal:
            amend(floor, order, trigger_price="300")
        assert refusal.value.code == "FiredAlready"
        assert amend(floor, order, limit_price="275").limit_price == 275

    def test_what_is_filled_already_bounds_it(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.60")
        order = floor.place(alice, "buy", quantity="2", limit_price="278.60")
        floor.run()
        with pytest.raises(DomainError) as refusal:
            amend(floor, order, quantity="1")
        assert refusal.value.code == "FilledAlready"
        assert amend(floor, order, quantity="1.5").quantity == 15 * 10**7
