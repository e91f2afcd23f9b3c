"""Customers who trade at once, through faults, and write down what they were told.

Each is a thread with dice of its own, so a seed names what everybody wants to do; what comes of it
is up to the clock. Where no clear answer comes, the same request goes out again, with the same
keys, until one does.
"""

import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

import httpx

from tests.journeys.conftest import Platform
from tests.journeys.mobile import Phone
from tests.journeys.wishes import Wish
from tests.proof import Told

FUNDS = "50000"
PACE_S = 0.15
AGAIN_S = 0.5
PATIENCE_S = 120
SYMBOLS = ("AAPLx", "TSLAx", "SPYx")  # these trade at any hour

# What may honestly be answered while others trade and processes are away.
REFUSALS = {
    "BelowMinimum",
    "DisplayOutOfBounds",  # of an amended iceberg
    "ExpiryPassed",  # while it was asked again and again
    "FilledAlready",  # an amended one
    "InsufficientFunds",
    "MarketHalted",
    "MarketSilent",
    "OrderAlreadyDone",
    "PriceOutOfBand",
    "PriceStale",
    "TermNotTaken",  # of an amendment: an order at market has no limit
    "TooManyOpenOrders",
    "TriggersAtOnce",
}

ENTER = """
from tests import world
for number in range({count}):
    world.fund(world.active(f"crowd{{number}}@demo.test"), "{funds}")
"""


class Customer:
    """Somebody who places, amends, cancels, deposits and repeats requests until told to stop."""

    def __init__(self, phone: Phone, told: Told, seed: str) -> None:
        """Sign nobody in: the phone is signed in already."""
        self.phone = phone
        self.told = told
        self.dice = random.Random(seed)
        self.mine: list[tuple[str, str]] = []  # order ids, and of which instrument
        self.answered: list[tuple[str, dict[str, Any]]] = []  # name and body of orders, to repeat
        self.numbers = itertools.count(1)
        self.stopping = threading.Event()
        self.prices: dict[str, Decimal] = {}
        self.thread = threading.Thread(target=self.live, name=seed)

    def live(self) -> None:
        """Do one thing after the other."""
        wishes = {
            self.place: 10,
            self.place_by_name_only: 2,
            self.place_some: 2,
            self.amend: 4,
            self.cancel: 4,
            self.cancel_everything: 0.3,
            self.deposit: 0.5,
            self.repeat: 2,
        }
        while not self.stopping.is_set():
            [wish] = self.dice.choices(list(wishes), list(wishes.values()))
            try:
                wish()
            except Exception as mistake:  # noqa: BLE001 - told to the test, which fails by it
                self.told.complain(f"{wish.__name__}: {mistake!r}")
            self.stopping.wait(PACE_S)

    # What a customer wants

    def place(self) -> None:
        name, body = self.order()
        answer = self.ask("POST", "orders", body, key=name)
        if answer is not None and answer.status_code == 201:
            self.accept(name, answer.json())
            self.answered.append((name, body))

    def place_by_name_only(self) -> None:
        """Trust `client_order_id` alone: a repeated request is refused as a duplicate."""
        name, body = self.order()
        answer = self.ask("POST", "orders", body, fine={"DuplicateClientOrderId"})
        if answer is not None and answer.status_code == 201:
            self.accept(name, answer.json())
        elif answer is not None and answer.json()["code"] == "DuplicateClientOrderId":
            self.told.note(self.told.known, name)

    def place_some(self) -> None:
        orders = [self.order() for _ in range(self.dice.randint(2, 6))]
        answer = self.ask(
            "POST", "orders/batch", {"orders": [body for _, body in orders]}, key=orders[0][0]
        )
        if answer is None or answer.status_code != 200:
            return
        for (name, _), result in zip(orders, answer.json()["results"], strict=True):
            if "order" in result:
                self.accept(name, result["order"])
            else:
                self.judge(result["error"])

    def amend(self) -> None:
        if not self.mine:
            return
        order_id, symbol = self.dice.choice(self.mine[-20:])
        body = {"quantity": f"{self.dice.randint(2, 9) / 100:.2f}"}
        if self.dice.random() < 0.3:
            part = Decimal(self.dice.uniform(0.99, 1.01))
            body = {"limit_price": f"{self.reference(symbol) * part:.2f}"}
        answer = self.ask("PATCH", f"orders/{order_id}", body)
        if answer is not None and answer.status_code == 202:
            self.told.note(self.told.amended, order_id)

    def cancel(self) -> None:
        if not self.mine:
            return
        order_id, _ = self.dice.choice(self.mine[-20:])
        answer = self.ask("DELETE", f"orders/{order_id}")
        if answer is not None and answer.status_code == 202:
            self.told.note(self.told.cancelled, order_id)

    def cancel_everything(self) -> None:
        before = list(self.mine)
        answer = self.ask("DELETE", "orders")
        if answer is not None and answer.status_code == 202:
            for order_id, _ in before:
                self.told.note(self.told.cancelled, order_id)

    def deposit(self) -> None:
        """Announce a deposit of an amount that no other of this customer's has."""
        number = next(self.numbers)
        body = {"asset": "USD", "amount": f"{10 + number / 100:.2f}"}
        answer = self.ask("POST", "deposits", body, key=f"{self.phone.email}-deposit-{number}")
        if answer is not None and answer.status_code == 201:
            self.told.note(self.told.deposits, answer.json()["id"])

    def repeat(self) -> None:
        """Send an old request again, as an app does that was closed before it read the answer."""
        if not self.answered:
            return
        name, body = self.dice.choice(self.answered)
        answer = self.ask("POST", "orders", body, key=name)
        if answer is not None:
            if answer.status_code == 201:
                self.accept(name, answer.json(), again=True)
            else:
                self.told.complain(f"repeated {name}: {answer.status_code} {answer.text[:200]}")

    # How it is asked

    def order(self) -> tuple[str, dict[str, Any]]:
        """Think of an order: its name and its body."""
        name = f"{self.thread.name}-{next(self.numbers)}"
        symbol, side = self.dice.choice(SYMBOLS), self.dice.choice(["buy", "buy", "sell"])
        terms = Wish(self.dice, side, self.reference(symbol)).terms()
        return name, {"instrument": symbol, "side": side, "client_order_id": name, **terms}

    def reference(self, symbol: str) -> Decimal:
        """Look at the price now and then."""
        if symbol not in self.prices or self.dice.random() < 0.1:
            answer = self.ask("GET", f"instruments/{symbol}")
            if answer is not None and answer.status_code == 200:
                self.prices[symbol] = Decimal(answer.json()["reference_price"])
        return self.prices.get(symbol, Decimal(250))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        fine: set[str] = frozenset(),  # type: ignore[assignment]
    ) -> httpx.Response | None:
        """Ask until there is a clear answer; None if told to stop first."""
        self.remember_names(body)
        headers = {"Idempotency-Key": key} if key else {}
        tried = 0
        while not (self.stopping.is_set() and tried):
            tried += 1
            answer = self.send(method, path, body, headers)
            if answer is not None and not unclear(answer):
                if answer.status_code >= 400:
                    self.judge(answer.json(), fine if tried > 1 else frozenset())
                return answer
            self.told.repeats()
            self.stopping.wait(AGAIN_S)
        return None

    def send(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> httpx.Response | None:
        try:
            answer = self.phone.http.request(method, f"/api/v1/{path}", json=body, headers=headers)
        except httpx.HTTPError:
            return None
        if answer.status_code == 500:
            self.told.complain(f"{method} {path}: 500 {answer.text[:200]}")
        return answer

    def remember_names(self, body: Any) -> None:
        for one in (body or {}).get("orders", [body or {}]):
            if "client_order_id" in one:
                self.told.sent(one["client_order_id"])

    def accept(self, name: str, order: dict[str, Any], *, again: bool = False) -> None:
        self.told.accepted(name, order["id"])
        if not again:
            self.mine.append((order["id"], order["instrument"]))

    def judge(self, problem: dict[str, Any], fine: set[str] | frozenset[str] = frozenset()) -> None:
        """Accept a refusal that the circumstances explain."""
        if problem.get("code") not in REFUSALS | fine:
            self.told.complain(str(problem))


def unclear(answer: httpx.Response) -> bool:
    """Say whether the request should be asked again: nobody knows what became of it."""
    if answer.status_code >= 500:
        return True
    return answer.status_code == 409 and answer.json().get("code") == "StillRunning"


def enter(platform: Platform, count: int) -> None:
    """Open accounts for so many customers and fund them."""
    platform.manage("shell", "-v", "0", "-c", ENTER.format(count=count, funds=FUNDS))


@contextmanager
def trading(platform: Platform, *, count: int, seed: int) -> Iterator[Told]:
    """Let so many customers trade while the block runs, and stop before it ends."""
    enter(platform, count)
    told = Told()
    with ExitStack() as stack:
        customers = []
        for number in range(count):
            phone = stack.enter_context(Phone(platform, f"crowd{number}@demo.test"))
            phone.sign_in()
            customers.append(Customer(phone, told, f"{seed}-{number}"))
        for customer in customers:
            customer.thread.start()
        try:
            yield told
        finally:
            for customer in customers:
                customer.stopping.set()
            for customer in customers:
                customer.thread.join(PATIENCE_S)
        assert not any(customer.thread.is_alive() for customer in customers)
