"""Everything at once on the same few accounts: place, amend, cancel, settle, pay by card, deposit.

Nothing deadlocks, nobody gets a 500, and the books are true. Where the database does end a
transaction, because somebody else's came first, the door says so and the same request works.
"""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from django.db import close_old_connections, connections
from rest_framework.test import APIClient

import trading.operations
from krakapp import database
from ledger import operations as ledger
from ledger.models import Account
from spending.models import CardSale
from spending.operations.authorizations import OutcomeUnknown
from tests import world
from tests.proof import Told, proof_of_the_test_bed
from tests.spending import shop
from trading.models import Order, Trade
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

CUSTOMERS, HANDS = 4, 2  # customers, and at how many devices each of them is
ROUNDS = 12
WAIT_S = 120
FINE = {200, 201, 202, 400, 404, 409, 422}

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


@pytest.fixture
def floor(transactional_db: None, friday: None, monkeypatch: pytest.MonkeyPatch) -> "Floor":
    from tests.trading.floor import Floor  # noqa: PLC0415

    # Nobody listens, and an event loop a thread would be slower than the books.
    monkeypatch.setattr(ledger.realtime, "send_private", lambda events: None)
    floor = Floor()
    world.stock_house(floor.instrument)
    trading.operations.Desk().step(now=world.NOW)
    floor.run()
    return floor


def customer(number: int, floor: "Floor") -> User:
    user = world.active(f"storm{number}@demo.test")
    world.fund(user, "2000")
    world.give(user, floor.instrument, "20")
    return user


class Storm:
    """Threads that begin together; what any of them could not explain."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.told = Told()
        self.answers: Counter[int] = Counter()
        self.tasks: list[tuple[Callable[[random.Random], None], bool]] = []
        self.calm = threading.Event()

    def add(self, act: Callable[[random.Random], None], *, forever: bool = False) -> None:
        """Let a thread act some rounds, or until the others are done."""
        self.tasks.append((act, forever))

    def rage(self) -> None:
        barrier = threading.Barrier(len(self.tasks))
        threads = [
            threading.Thread(target=self._run, args=(number, barrier, *task))
            for number, task in enumerate(self.tasks)
        ]
        for thread in threads:
            thread.start()
        for thread, (_, forever) in zip(threads, self.tasks, strict=True):
            if not forever:
                thread.join(WAIT_S)
        self.calm.set()
        for thread in threads:
            thread.join(WAIT_S)
        assert not any(thread.is_alive() for thread in threads)

    def _run(
        self,
        number: int,
        barrier: threading.Barrier,
        act: Callable[[random.Random], None],
        forever: bool,  # noqa: FBT001 - from the list of tasks
    ) -> None:
        dice = random.Random(f"{self.seed}-{number}")
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute("SET lock_timeout = '60s'")  # a busy machine may queue for long
            barrier.wait(WAIT_S)
            done = 0
            while done < ROUNDS or (forever and not self.calm.is_set()):
                act(dice)
                done += 1
        except Exception as failure:  # noqa: BLE001 - told to the test below
            self.told.complain(f"{act.__qualname__}: {failure!r}")
        finally:
            connections.close_all()


class Hand:
    """A customer at one device."""

    def __init__(self, user: User, floor: "Floor", storm: Storm) -> None:
        self.api = APIClient(raise_request_exception=False)
        self.api.force_authenticate(user)
        self.symbol = floor.instrument.symbol
        self.storm = storm
        self.mine: list[str] = []

    def act(self, dice: random.Random) -> None:
        wish = dice.choice([self.place, self.place, self.place_many, self.amend, self.cancel])
        wish(dice)

    def terms(self, dice: random.Random) -> dict[str, Any]:
        side, price = dice.choice(["buy", "sell"]), dice.randint(27_700, 28_000) / 100
        terms = {"instrument": self.symbol, "side": side, "quantity": f"0.{dice.randint(1, 9)}"}
        return {
            **terms,
            "type": "limit",
            "limit_price": f"{price:.2f}",
            "client_order_id": uuid.UUID(int=dice.getrandbits(128)).hex,
        }

    def place(self, dice: random.Random) -> None:
        self.accept(self.call("post", "orders", self.terms(dice)))

    def place_many(self, dice: random.Random) -> None:
        answer = self.call("post", "orders/batch", {"orders": [self.terms(dice) for _ in range(5)]})
        for result in (answer or {}).get("results", []):
            self.accept(result.get("order"))

    def amend(self, dice: random.Random) -> None:
        if self.mine:
            terms = {"quantity": f"0.{dice.randint(1, 9)}"}
            self.call("patch", f"orders/{dice.choice(self.mine)}", terms)

    def cancel(self, dice: random.Random) -> None:
        path = f"orders/{dice.choice(self.mine)}" if self.mine else "orders"
        self.call("delete", path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        send = getattr(self.api, method)
        answer = send(f"/api/v1/{path}", body, format="json", headers=headers)
        self.storm.answers[answer.status_code] += 1
        if answer.status_code not in FINE:
            self.storm.told.complain(f"{method} {path}: {answer.status_code} {answer.content!r}")
        return answer.json() if answer.status_code < 300 else None

    def accept(self, order: Any) -> None:
        if order:
            self.storm.told.accepted(order["client_order_id"], order["id"])
            self.mine.append(order["id"])


def deadlocks() -> int:
    """Count those that the server has seen; the threads' connections are closed by now."""
    with database.connect(connections["owner"].settings_dict) as owner:
        row = owner.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


class Street:
    """What goes on around the customers: the engine, the settlers, the card network, the bank."""

    def __init__(self, users: list[User]) -> None:
        self.users = users
        self.cards = [shop.card(user, ("USD", "0"), ("AAPLx", "0")) for user in users]
        self.leader = trading.operations.Leader("main")

    def match(self, _dice: random.Random) -> None:
        try:
            if not self.leader.step():
                time.sleep(0.01)
        except trading.operations.NotLeader:
            time.sleep(0.05)  # the floor's own engine is just letting go

    def settle(self, _dice: random.Random) -> None:
        if not trading.operations.settle_due(now=world.NOW):
            time.sleep(0.01)

    def pay(self, dice: random.Random) -> None:
        close_old_connections()  # as a request does: one whose wait ended may have broken its own
        with suppress(OutcomeUnknown):  # a COMMIT that took too long stands or not, both are fine
            shop.authorize(dice.choice(self.cards), f"{dice.randint(1, 1500)}.00")

    def deposit(self, dice: random.Random) -> None:
        world.fund(dice.choice(self.users), f"{dice.randint(100, 200)}.00")


def test_a_storm_over_few_accounts_deadlocks_nowhere(floor: "Floor") -> None:
    seed = random.randrange(10**6)
    print(f"SEED={seed}")  # noqa: T201 - shown where the test fails
    before, storm = deadlocks(), Storm(seed)
    street = Street([customer(number, floor) for number in range(CUSTOMERS)])
    for user in street.users * HANDS:
        storm.add(Hand(user, floor, storm).act)
    for act in (street.pay, street.pay, street.deposit):
        storm.add(act)
    for act in (street.match, street.settle, street.settle):
        storm.add(act, forever=True)
    connections.close_all()  # and with it the floor's lead
    storm.rage()
    run_dry(street.leader)
    assert deadlocks() == before
    assert storm.answers[201] > 0
    assert CardSale.objects.exists()
    assert Trade.objects.filter(venue="book").exists()
    proof_of_the_test_bed().holds(storm.told)


def run_dry(leader: Any) -> None:
    """Let whoever leads now work off what is left."""
    leader._forget()
    deadline = time.monotonic() + WAIT_S
    while any(proof_of_the_test_bed().due()) and time.monotonic() < deadline:
        try:
            leader.step()
        except trading.operations.NotLeader:
            time.sleep(0.05)
        trading.operations.settle_due(now=world.NOW)


def test_whom_the_database_ends_to_break_a_deadlock_may_ask_again(floor: "Floor") -> None:
    alice = world.alice()
    world.fund(alice, "1000")
    world.give(alice, floor.instrument, "1")
    first, second = Account.objects.filter(owner=alice).order_by("id").values_list("id", flat=True)
    api = APIClient(raise_request_exception=False)
    api.force_authenticate(alice)
    body = {"instrument": "AAPLx", "side": "buy", "type": "limit"}
    body |= {"quantity": "1", "limit_price": "270", "client_order_id": "mine"}
    answers: list[Any] = []
    before = deadlocks()

    def ask() -> None:
        key = {"Idempotency-Key": "mine"}
        answers.append(api.post("/api/v1/orders", body, format="json", headers=key))
        connections.close_all()

    with database.connect(connections["owner"].settings_dict) as other, other.transaction():
        other.execute("SET LOCAL deadlock_timeout = '60s'")  # so the customer is who finds out
        lock = "SELECT FROM ledger_account WHERE id = %s FOR NO KEY UPDATE"
        other.execute(lock, [second])
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until_somebody_waits()
        other.execute(lock, [first])
        asking.join(WAIT_S)
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "Unavailable")
    ask()
    assert answers[1].status_code == 201
    assert Order.objects.filter(customer=alice).count() == 1
    assert deadlocks() == before + 1  # the storm's test would have seen one


def wait_until_somebody_waits() -> None:
    deadline = time.monotonic() + WAIT_S
    with database.connect(connections["owner"].settings_dict) as owner:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not (owner.execute(waiting).fetchone() or (0,))[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
