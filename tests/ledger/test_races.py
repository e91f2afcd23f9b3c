"""The ledger under fire: many connections at once, on the real server, as the app's role.

Every thread has its own connection, starts at the same barrier and does a given number of things,
so nothing here waits for time to pass. A deadlock or a lock timeout is an OperationalError, which
no test expects.
"""

import random
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from threading import Barrier, Event, Lock
from typing import Any

import pytest
from django.db import connection, connections, transaction

from common.errors import DomainError
from common.invariants import Break, find_breaks
from ledger import operations, queries
from ledger.models import Account, Asset, Hold, Journal, Transfer
from ledger.operations import AccountKey, Capture, Entry, HoldRequest, Leg
from users.models import User

NOW = datetime(2026, 11, 22, tzinfo=UTC)
START = 1_000
THREADS, READERS, ROUNDS = 50, 4, 16

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, and fifty event loops would be slower than the books."""
    monkeypatch.setattr(operations.realtime, "send_private", lambda events: None)


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks at once, each on a connection of its own; a DomainError is an answer too."""
    barrier = Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        try:
            with connection.cursor() as cursor:
                # A busy machine may queue for long; a deadlock is found after one second.
                cursor.execute("SET lock_timeout = '60s'")
            barrier.wait(timeout=60)
            return task()
        except DomainError as refusal:
            return refusal
        except BaseException:
            barrier.abort()
            raise
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tasks)) as threads:
        return [future.result() for future in [threads.submit(run, task) for task in tasks]]


class World:
    """Two assets; the outside, the fees, and ten customers who have START of each."""

    def __init__(self) -> None:
        self.assets = [
            Asset.objects.get_or_create(code=code, defaults={"scale": 6, "kind": kind})[0].pk
            for code, kind in (("USD", "fiat"), ("AAPLx", "token"))
        ]
        owners = [User.objects.create_user(f"{n}@demo.test").pk for n in range(10)]
        self.outside = [self.open(None, asset, "external") for asset in self.assets]
        self.fees = [self.open(None, asset, "fees") for asset in self.assets]
        self.customers = [
            [self.open(owner, asset, "customer") for owner in owners] for asset in self.assets
        ]
        funding = [
            Entry(f"fund:{account}", "test", [Leg(outside, account, START)])
            for outside, accounts in zip(self.outside, self.customers, strict=True)
            for account in accounts
        ]
        operations.post(entries=funding, occurred_at=NOW)

    def open(self, owner: int | None, asset: int, role: str) -> int:
        return operations.open_accounts(keys=[AccountKey(owner, asset, role)])[0]

    def sides(self, asset: int) -> list[int]:
        return [*self.customers[asset], self.fees[asset]]

    def posted(self) -> Counter[int]:
        """What each account has at the start."""
        at_first: Counter[int] = Counter()
        for outside, accounts in zip(self.outside, self.customers, strict=True):
            at_first[outside] = -START * len(accounts)
            at_first.update(dict.fromkeys(accounts, START))
        return at_first


@pytest.fixture
def world() -> World:
    return World()


def state(account: int) -> tuple[int, int]:
    row = Account.objects.get(pk=account)
    return row.posted, row.held


class Log:
    """What the threads did, for the model: sums do not depend on the order."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.legs: dict[str, Sequence[Leg]] = {}
        self.holds: Counter[int] = Counter()
        self.of: dict[int, int] = {}  # hold: its account
        self.refused: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def posted(self, entries: Sequence[Entry], fresh: Sequence[Entry]) -> None:
        with self.lock:
            self.legs |= {entry.key: entry.legs for entry in entries}
            for entry in fresh:
                for capture in entry.captures:
                    self.holds[capture.hold] -= capture.amount

    def held(self, changes: Sequence[tuple[int, int]], of: dict[int, int] | None = None) -> None:
        with self.lock:
            self.of |= of or {}
            for hold, delta in changes:
                self.holds[hold] += delta

    def some_hold(self, dice: random.Random) -> tuple[int, int] | None:
        """Pick a hold that may have something left, and how much; others may be faster."""
        with self.lock:
            live = [(hold, left) for hold, left in self.holds.items() if left > 0]
        return dice.choice(live) if live else None


class Trader:
    """One thread: a given number of random operations of every kind."""

    def __init__(self, world: World, log: Log, seed: int, number: int) -> None:
        self.world, self.log = world, log
        self.dice = random.Random(seed * 1_000 + number)
        self.keys = (f"trader:{number}:{n}" for n in count())

    def __call__(self) -> None:
        acts = [self.transfer, self.known, self.hold, self.increase, self.release]
        acts += [self.capture, self.hold, self.order]
        for _ in range(ROUNDS):
            act = self.dice.choice(acts)
            try:
                act()
            except DomainError as refusal:
                with self.log.lock:
                    self.log.refused[refusal.code] += 1
            else:
                with self.log.lock:
                    self.log.done[act.__name__] += 1

    def leg(self, debit: int | None = None) -> Leg:
        asset = self.dice.randrange(2)
        if debit is not None:
            asset = int(debit in self.world.sides(1))
        debit = debit or self.dice.choice(self.world.customers[asset])
        credit = self.dice.choice([a for a in self.world.sides(asset) if a != debit])
        return Leg(debit, credit, self.dice.randint(1, START // 2))

    def post(self, entries: Sequence[Entry]) -> None:
        operations.post(entries=entries, occurred_at=NOW)
        self.log.posted(entries, entries)

    def transfer(self) -> None:
        """Post a batch of journals of several legs, in any order of accounts."""
        entries = []
        for _ in range(self.dice.randint(1, 4)):
            legs = [self.leg() for _ in range(self.dice.randint(1, 3))]
            entries.append(Entry(next(self.keys), "test", legs))
        self.post(entries)

    def known(self) -> None:
        """Post events that other threads post as well."""
        events = [self.dice.randrange(40) for _ in range(3)]
        entries = []
        for event in dict.fromkeys(events):
            debit, credit = self.world.customers[0][event % 10], self.world.fees[0]
            entries.append(Entry(f"event:{event}", "test", [Leg(debit, credit, event + 1)]))
        self.post(entries)

    def hold(self) -> None:
        asset = self.dice.randrange(2)
        asked = [
            HoldRequest(self.dice.choice(self.world.customers[asset]), amount, "order")
            for amount in (self.dice.randint(1, START // 4) for _ in range(self.dice.randint(1, 3)))
        ]
        holds = operations.hold(requests=asked)
        of = {hold: request.account for hold, request in zip(holds, asked, strict=True)}
        self.log.held([(h, r.amount) for h, r in zip(holds, asked, strict=True)], of)

    def increase(self) -> None:
        if found := self.log.some_hold(self.dice):
            change = [(found[0], self.dice.randint(1, 20))]
            operations.increase(increases=change)
            self.log.held(change)

    def release(self) -> None:
        """Give back what some other thread may be taking just now."""
        if found := self.log.some_hold(self.dice):
            hold, left = found
            amount = self.dice.randint(1, left)
            operations.release(releases=[(hold, amount)])
            self.log.held([(hold, -amount)])

    def capture(self) -> None:
        if found := self.log.some_hold(self.dice):
            hold, left = found
            amount = self.dice.randint(1, left)
            leg = self.leg(self.log.of[hold])
            entry = Entry(
                next(self.keys),
                "test",
                [Leg(leg.debit, leg.credit, amount)],
                [Capture(hold, amount)],
            )
            self.post([entry])

    def order(self) -> None:
        """Hold, pay both ways and give the rest back, in one transaction that locks first."""
        buyer, seller = self.dice.sample(range(10), 2)
        cash, tokens = self.world.customers
        accounts = [cash[buyer], cash[seller], tokens[seller], tokens[buyer], self.world.fees[0]]
        cost, quantity, key = self.dice.randint(2, 200), self.dice.randint(1, 200), next(self.keys)
        with transaction.atomic():
            operations.lock_accounts(account_ids=accounts)
            asked = [
                HoldRequest(cash[buyer], cost + 5, "buy"),
                HoldRequest(tokens[seller], quantity, "sell"),
            ]
            [bought, sold] = operations.hold(requests=asked)
            legs = [
                Leg(cash[buyer], cash[seller], cost),
                Leg(cash[buyer], self.world.fees[0], 2),
                Leg(tokens[seller], tokens[buyer], quantity),
            ]
            captures = [Capture(bought, cost + 2), Capture(sold, quantity)]
            entry = Entry(key, "test", legs, captures)
            operations.post(entries=[entry], occurred_at=NOW)
            operations.release(releases=[(bought, 3)])
        self.log.held([(bought, 0), (sold, 0)])
        self.log.posted([entry], [])


class Reader:
    """Look at the books in a REPEATABLE READ snapshot, again and again, until told to stop."""

    def __init__(self, done: Event) -> None:
        self.done = done
        self.looks = 0

    def __call__(self) -> list[Break]:
        while not self.done.wait(0.01) or not self.looks:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute("SELECT asset_id, sum(posted) FROM ledger_account GROUP BY 1")
                breaks = [Break("sum", str(row)) for row in cursor.fetchall() if row[1]]
                cursor.execute(
                    "SELECT id FROM ledger_account"
                    " WHERE held < 0 OR posted < held AND NOT overdraft"
                )
                breaks += [Break("negative", str(row)) for row in cursor.fetchall()]
                breaks += find_breaks(queries.CHECKS)
            self.looks += 1
            if breaks:
                return breaks
        return []


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Roll other dice each time; pytest shows the seed where a test fails."""
    chosen = secrets.randbelow(10**9)
    request.node.add_report_section("call", "seed", str(chosen))
    return chosen


class TestFiftyThreads:
    def test_agree_with_the_model_and_never_show_a_torn_book(self, world: World, seed: int) -> None:
        log, done = Log(), Event()
        traders = [Trader(world, log, seed, number) for number in range(THREADS)]
        readers = [Reader(done) for _ in range(READERS)]
        working = count(1)

        def work(trader: Trader) -> None:
            try:
                trader()
            finally:
                if next(working) == THREADS:
                    done.set()

        seen = together(*readers, *(lambda t=t: work(t) for t in traders))
        assert seen == [[]] * READERS + [None] * THREADS
        self.compare(world, log)
        assert list(find_breaks(queries.CHECKS)) == []
        assert log.refused.keys() <= {"InsufficientFunds", "HoldExceeded"}
        assert sum(log.done.values()) + sum(log.refused.values()) == THREADS * ROUNDS
        assert len(log.done) == 7  # every kind of operation took place

    def compare(self, world: World, log: Log) -> None:
        posted = world.posted()
        for legs in log.legs.values():
            for leg in legs:
                posted[leg.debit] -= leg.amount
                posted[leg.credit] += leg.amount
        held: Counter[int] = Counter()
        for hold, account in log.of.items():
            held[account] += log.holds[hold]
        rows = Account.objects.values_list("id", "posted", "held")
        assert {i: (has, aside) for i, has, aside in rows} == {
            i: (posted[i], held[i]) for i, _, _ in rows
        }
        remaining = dict(Hold.objects.values_list("id", "remaining"))
        assert {hold: log.holds[hold] for hold in remaining} == remaining
        keys = Journal.objects.exclude(key__startswith="fund:").values_list("key", flat=True)
        assert set(keys) == log.legs.keys()


class TestOneKey:
    def test_twenty_threads_make_one_journal(self, world: World) -> None:
        [alice, bob, *_] = world.customers[0]
        entry = Entry("once", "test", [Leg(alice, bob, 7)])
        ids = together(*[lambda: operations.post(entries=[entry], occurred_at=NOW)] * 20)
        assert ids == [ids[0]] * 20
        assert Transfer.objects.filter(journal_id=ids[0][0]).count() == 1
        assert (state(alice), state(bob)) == ((START - 7, 0), (START + 7, 0))

    def test_batches_that_overlap_post_each_event_once(self, world: World, seed: int) -> None:
        accounts, outside = world.customers[0], world.outside[0]
        entries = [Entry(f"e{n}", "test", [Leg(outside, accounts[n % 10], 1)]) for n in range(60)]
        dice = random.Random(seed)
        batches = [dice.sample(entries, 40) for _ in range(20)]
        answers = together(
            *(lambda b=b: operations.post(entries=b, occurred_at=NOW) for b in batches)
        )
        ids = dict(Journal.objects.filter(key__startswith="e").values_list("key", "id"))
        for batch, answer in zip(batches, answers, strict=True):
            assert answer == [ids[entry.key] for entry in batch]
        assert Transfer.objects.filter(journal_id__in=ids.values()).count() == len(ids)

    def test_a_reversal_happens_once(self, world: World) -> None:
        [alice, bob, *_] = world.customers[0]
        entry = Entry("oops", "test", [Leg(alice, bob, 7)])
        [journal] = operations.post(entries=[entry], occurred_at=NOW)

        def reverse(key: str) -> int:
            return operations.reverse(
                journal_id=journal, key=key, kind="test", occurred_at=NOW, actor=None
            )

        answers = together(*(lambda n=n: reverse(f"fix:{n % 5}") for n in range(10)))
        assert len({answer for answer in answers if isinstance(answer, int)}) == 1
        refusals = [answer for answer in answers if isinstance(answer, operations.AlreadyReversed)]
        assert len(refusals) == 8
        assert state(alice) == (START, 0)


class TestTheLastDollar:
    def test_of_two_holds_one_wins(self, world: World) -> None:
        for account in world.customers[0]:
            operations.hold(requests=[HoldRequest(account, START - 1, "before")])
            asked = HoldRequest(account, 1, "last")
            answers = together(*[lambda asked=asked: operations.hold(requests=[asked])] * 2)
            assert sorted(type(answer).__name__ for answer in answers) == [
                "InsufficientFunds",
                "list",
            ]
            assert state(account) == (START, START)

    def test_a_hold_and_a_payment_race_for_it(self, world: World) -> None:
        for number, account in enumerate(world.customers[0]):
            entry = Entry(f"pay:{number}", "test", [Leg(account, world.fees[0], START)])
            answers = together(
                lambda account=account: operations.hold(requests=[HoldRequest(account, 1, "last")]),
                lambda entry=entry: operations.post(entries=[entry], occurred_at=NOW),
            )
            refused = [isinstance(answer, operations.InsufficientFunds) for answer in answers]
            assert state(account) == ((0, 0) if refused == [True, False] else (START, 1))
            assert sum(refused) == 1

    def test_a_hold_is_captured_or_released(self, world: World) -> None:
        for number, account in enumerate(world.customers[0]):
            [hold] = operations.hold(requests=[HoldRequest(account, 9, "order")])
            legs, captures = [Leg(account, world.fees[0], 9)], [Capture(hold, 9)]
            entry = Entry(f"pay:{number}", "test", legs, captures)
            answers = together(
                lambda hold=hold: operations.release(releases=[(hold, 9)]),
                lambda entry=entry: operations.post(entries=[entry], occurred_at=NOW),
            )
            refused = [isinstance(answer, operations.HoldExceeded) for answer in answers]
            assert sum(refused) == 1
            assert state(account) == ((START - 9, 0) if refused == [True, False] else (START, 0))


class TestOpening:
    def test_any_order_opens_each_account_once(self, world: World, seed: int) -> None:
        dice = random.Random(seed)
        owners = [User.objects.create_user(f"new{n}@demo.test").pk for n in range(100)]
        keys = [AccountKey(owner, asset, "customer") for owner in owners for asset in world.assets]
        orders = [dice.sample(keys, len(keys)) for _ in range(20)]
        answers = together(*(lambda o=o: operations.open_accounts(keys=o) for o in orders))
        found = [
            dict(zip(order, ids, strict=True)) for order, ids in zip(orders, answers, strict=True)
        ]
        assert found == [found[0]] * 20
        assert Account.objects.filter(owner__in=owners).count() == len(keys)


class TestTheTriggersAlone:
    def test_statements_that_lock_nothing_first_do_not_deadlock(
        self, world: World, seed: int
    ) -> None:
        """A caller may forget to lock; the triggers do it in one order all the same."""
        accounts, outside = world.customers[0], world.outside[0]
        holds = operations.hold(requests=[HoldRequest(account, 40, "x") for account in accounts])

        def insert(dice: random.Random) -> None:
            order = dice.sample(range(10), 10)
            for _ in range(10):
                with connection.cursor() as cursor:
                    cursor.execute(
                        "WITH j AS (INSERT INTO ledger_journal (uid, key, kind, occurred_at)"
                        " VALUES (uuidv7(), uuidv7()::text, 'test', now()) RETURNING id)"
                        " INSERT INTO ledger_transfer"
                        " (journal_id, asset_id, debit_id, credit_id, amount)"
                        " SELECT j.id, %s, %s, credit, 1 FROM j, unnest(%s::bigint[]) AS credit",
                        [world.assets[0], outside, [accounts[n] for n in order]],
                    )
                    cursor.execute(
                        "INSERT INTO ledger_holdentry (hold_id, account_id, delta)"
                        " SELECT *, 1 FROM unnest(%s::bigint[], %s::bigint[])",
                        [[holds[n] for n in order], [accounts[n] for n in order]],
                    )

        together(*(lambda n=n: insert(random.Random(seed + n)) for n in range(20)))
        expected = dict.fromkeys(accounts, (START + 200, 240))
        assert {account: state(account) for account in accounts} == expected
