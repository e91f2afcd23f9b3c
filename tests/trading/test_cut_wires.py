"""A connection lost around a COMMIT: done or not done, the one who asks again gets one effect."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client

import ledger.queries
import spending.queries
import trading.operations
from common.invariants import find_breaks
from ledger.models import Hold, Journal
from spending import gateways
from spending.models import Authorization, CardSale
from tests import world
from tests.proof import Told, proof_of_the_test_bed
from tests.spending import shop
from tests.wire import Wire
from trading.models import Command, Order, Trade

if TYPE_CHECKING:
    from tests.trading.floor import Floor

PATIENCE_S = 60

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.parametrize("lost", ["request", "answer"]),
]


@pytest.fixture
def floor(transactional_db: None, friday: None) -> "Floor":
    from tests.trading.floor import Floor  # noqa: PLC0415

    return Floor()


@pytest.fixture
def wire(
    floor: "Floor",
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Wire]:
    """Lead this process' connection to the database through a wire, once the floor is open."""
    config = connection.settings_dict
    with Wire(tmp_path_factory.mktemp("wire"), config) as wire:
        connection.close()
        monkeypatch.setitem(config, "HOST", str(wire.folder))
        monkeypatch.setitem(config, "PORT", "")
        yield wire
        connection.close()


def again(act: Callable[[], Any], good: Callable[[Any], bool] = bool) -> Any:
    """Act until it works: what the other end had begun may take a moment to end."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if good(done := act()):
                return done
        except (DatabaseError, trading.operations.NotLeader):
            pass
        time.sleep(0.05)
    raise AssertionError("it never worked again")


def post_order(client: Client, **headers: str) -> Any:
    body = {"instrument": "AAPLx", "side": "buy", "type": "limit", "quantity": "0.5"}
    body |= {"limit_price": "270.00", "client_order_id": "mine"}
    return client.post("/api/v1/orders", body, "application/json", headers=headers or None)


class TestPlacing:
    @pytest.fixture
    def client(self, wire: Wire) -> Client:
        world.fund(world.alice(), "1000")
        client = Client(raise_request_exception=False)
        client.force_login(world.alice())
        return client

    def test_with_a_key_gets_the_one_order(
        self, floor: "Floor", wire: Wire, client: Client, lost: str
    ) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        wire.cut_next(lost)
        first = post_order(client, **key)
        assert (first.status_code, first.json()["code"]) == (503, "Unavailable")
        answer = again(lambda: post_order(client, **key), lambda a: a.status_code == 201)
        assert post_order(client, **key).json() == answer.json()
        self.is_one(floor, wire, answer.json()["id"])

    def test_by_name_is_told_of_the_order_it_has(
        self, floor: "Floor", wire: Wire, client: Client, lost: str
    ) -> None:
        wire.cut_next(lost)
        assert post_order(client).status_code == 503
        answer = again(lambda: post_order(client), lambda a: a.status_code in {201, 409})
        if answer.status_code == 409:
            assert lost == "answer"
            assert answer.json()["code"] == "DuplicateClientOrderId"
        self.is_one(floor, wire, str(Order.objects.get(client_order_id="mine").uid))

    def is_one(self, floor: "Floor", wire: Wire, order_id: str) -> None:
        assert wire.cuts == 1
        assert Order.objects.filter(customer=world.alice()).count() == 1
        assert Hold.objects.filter(purpose="order").count() == 1
        told = Told()
        told.accepted("mine", order_id)
        told.sent("mine")
        leader = trading.operations.Leader("main")
        again(leader.step)
        proof_of_the_test_bed().holds(told)


class TestTheEnginesBatch:
    def test_is_written_once(self, floor: "Floor", wire: Wire, lost: str) -> None:
        alice = world.alice()
        world.fund(alice, "10000")
        leader = trading.operations.Leader("main")
        leader.engine()
        floor.engine = leader.engine()
        floor.offer("5", "278.60")
        told = Told()
        for number in range(3):
            order = floor.place(alice, "buy", quantity="0.5", limit_price="279")
            told.accepted(str(number), str(order.uid))
        wire.cut_next(lost)
        with pytest.raises(DatabaseError):
            leader.step()
        again(lambda: leader.step() == 0)
        assert wire.cuts == 1
        assert not Command.objects.filter(sequence=None).exists()
        assert Trade.objects.count() == 3
        trading.operations.settle_due(now=world.NOW)
        proof_of_the_test_bed().holds(told)
        assert world.balance(alice, "AAPLx") == 1.5


class TestSettlement:
    @pytest.mark.parametrize("count", [1, 4])
    def test_pays_each_trade_once(self, floor: "Floor", wire: Wire, lost: str, count: int) -> None:
        alice = world.alice()
        world.fund(alice, "10000")
        floor.engine = trading.operations.Engine("main")
        floor.offer("5", "278.60")
        for _ in range(count):
            floor.place(alice, "buy", quantity="0.5", limit_price="279")
        while floor.engine.run_batch():
            pass
        wire.cut_next(lost)
        again(lambda: trading.operations.settle_due(now=world.NOW) >= 0)
        again(lambda: not any(proof_of_the_test_bed().due()) or settle())
        assert wire.cuts == 1
        assert Journal.objects.filter(kind="trade").count() == count
        proof_of_the_test_bed().holds(Told())


def settle() -> bool:
    trading.operations.settle_due(now=world.NOW)
    return False


class TestACardsAuthorization:
    @pytest.mark.parametrize("amount", ["4.50", "200"])  # from cash; by selling shares too
    def test_is_decided_once(self, floor: "Floor", wire: Wire, lost: str, amount: str) -> None:
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "50"))
        world.fund(alice, "50")
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))

        def ask() -> str:
            return shop.send_raw(gateways.REQUESTED, card, id="evt-cut", amount=amount)

        wire.cut_next(lost)
        with pytest.raises(DatabaseError):
            ask()
        told = again(ask)
        assert ask() == told
        assert wire.cuts == 1
        decided = Authorization.objects.get()
        assert decided.decision == Authorization.Decision.APPROVED
        assert decided.hold is not None
        assert CardSale.objects.count() == (amount == "200")
        # The quote stands there without a command, so trading's own checks are not asked.
        assert list(find_breaks([*ledger.queries.CHECKS, *spending.queries.CHECKS])) == []
