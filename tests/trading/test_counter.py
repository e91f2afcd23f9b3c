"""The trading counter: cheap where orders live, dear where they go young; and the bounded inbox."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

import trading.operations
from common.errors import DomainError
from common.limits import TooManyCalls
from tests import limits, world
from trading import rules
from trading.models import Command, Order
from trading.operations.counter import TooMuchWaiting
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

SLOW = "0.001"


def buy(floor: "Floor", user: User) -> Order:
    return floor.place(user, "buy", quantity="1", limit_price="100")


@pytest.fixture
def alice() -> User:
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


class TestCosts:
    @pytest.mark.parametrize(
        ("age_s", "cancel", "amend"),
        [
            (0, 8, 4),
            (4.9, 8, 4),
            (5, 6, 3),
            (10, 5, 2),
            (15, 4, 1),
            (45, 2, 1),
            (90, 1, 1),
            (300, 0, 1),
            (86_400, 0, 1),
        ],
    )
    def test_fall_with_an_orders_age(self, age_s: float, cancel: int, amend: int) -> None:
        assert (rules.cancel_cost(age_s), rules.amend_cost(age_s)) == (cancel, amend)


class TestCounter:
    def test_lets_a_customer_place_so_many(
        self, floor: "Floor", alice: User, settings: Any
    ) -> None:
        limits.set_to(settings, orders=("customer", 3, SLOW))
        for _ in range(3):
            buy(floor, alice)
        with pytest.raises(TooManyCalls, match="too often"):
            buy(floor, alice)
        assert Order.objects.filter(customer=alice).count() == 3

    def test_counts_each_of_a_batch(self, floor: "Floor", alice: User, settings: Any) -> None:
        limits.set_to(settings, orders=("customer", 3, SLOW))
        drafts = [floor.draft("buy", "limit", quantity="1", limit_price="100")] * 4
        with pytest.raises(TooManyCalls):
            trading.operations.place_orders(drafts=drafts, customer=alice, now=world.NOW)

    def test_lets_what_is_cancelled_young_cost_the_next_order(
        self, floor: "Floor", alice: User, settings: Any
    ) -> None:
        limits.set_to(settings, orders=("customer", 9, SLOW))
        order = buy(floor, alice)
        trading.operations.cancel_order(order=order, now=world.NOW)
        with pytest.raises(TooManyCalls):
            buy(floor, alice)

    def test_lets_what_lived_long_go_for_nothing(
        self, floor: "Floor", alice: User, settings: Any
    ) -> None:
        limits.set_to(settings, orders=("customer", 2, SLOW))
        order = buy(floor, alice)
        trading.operations.cancel_order(order=order, now=world.NOW + timedelta(minutes=5))
        buy(floor, alice)

    def test_never_refuses_to_take_risk_off(
        self, floor: "Floor", alice: User, settings: Any
    ) -> None:
        limits.set_to(settings, orders=("customer", 3, SLOW))
        orders = [buy(floor, alice) for _ in range(3)]
        floor.run()
        assert trading.operations.cancel_orders(customer=alice, now=world.NOW) == 3
        floor.run()
        states = Order.objects.filter(pk__in=[order.pk for order in orders])
        assert set(states.values_list("status", flat=True)) == {Order.Status.CANCELLED}

    def test_counts_a_change(self, floor: "Floor", alice: User, settings: Any) -> None:
        limits.set_to(settings, orders=("customer", 4, SLOW))
        order = buy(floor, alice)
        with pytest.raises(TooManyCalls):
            trading.operations.amend_order(order=order, quantity=2, now=world.NOW)

    def test_is_the_customers_own(self, floor: "Floor", alice: User, settings: Any) -> None:
        carol = world.carol()
        world.fund(carol, "1000")
        limits.set_to(settings, orders=("customer", 1, SLOW))
        buy(floor, alice)
        buy(floor, carol)


class TestInbox:
    def test_holds_so_many_commands_of_a_customer(
        self, floor: "Floor", alice: User, settings: Any
    ) -> None:
        limits.set_to(settings, waiting=("customer", 3, 0))
        for _ in range(3):
            buy(floor, alice)
        with pytest.raises(TooMuchWaiting):
            buy(floor, alice)
        floor.run()
        buy(floor, alice)

    def test_holds_settings_of_the_dead_man_switch_too(
        self, floor: "Floor", alice: User, settings: Any
    ) -> None:
        limits.set_to(settings, waiting=("customer", 3, 0))

        def refusal() -> DomainError | None:
            try:
                trading.operations.cancel_orders_after(customer=alice, timeout_s=60, now=world.NOW)
            except TooMuchWaiting as error:
                return error
            return None

        assert [refusal() is None for _ in range(5)] == [True, True, True, False, False]
        assert Command.objects.filter(sequence=None, kind="cancel_all_after").count() == 3


class TestDoors:
    @pytest.fixture
    def client(self, alice: User) -> Client:
        client = Client()
        client.force_login(alice)
        return client

    def test_answer_429_over_the_api(self, floor: "Floor", client: Client, settings: Any) -> None:
        limits.set_to(settings, orders=("customer", 1, SLOW))
        body = {
            "instrument": "AAPLx",
            "side": "buy",
            "type": "limit",
            "quantity": "1",
            "limit_price": "100",
        }
        answers = [
            client.post("/api/v1/orders", body, content_type="application/json") for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [201, 429]
        assert answers[1].json()["code"] == "TooManyCalls"
        assert int(answers[1]["Retry-After"]) <= 1000
        assert answers[1]["RateLimit"].startswith('"orders-customer";r=0;t=')

    def test_say_it_in_words_on_the_ticket(
        self, floor: "Floor", client: Client, settings: Any
    ) -> None:
        limits.set_to(settings, orders=("customer", 1, SLOW))
        buy(floor, User.objects.get(email="alice@demo.test"))
        form = {"side": "buy", "type": "limit", "measure": "shares", "amount": "1"}
        form |= {"limit_price": "100", "client_order_id": "ticket-1", "reviewed": "yes"}
        answer = client.post("/markets/AAPLx/place/", form, headers={"HX-Request": "true"})
        assert "That is too often. Wait 1000 seconds, then try again." in answer.content.decode()
