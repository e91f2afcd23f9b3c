import threading
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

import trading.operations
from common import realtime
from common.invariants import find_breaks
from ledger.models import Account, Hold, Journal
from ledger.queries import CHECKS as LEDGER_CHECKS
from market.models import TapeTrade
from tests import world
from trading import signals, tasks
from trading.models import Order, Release, Trade
from trading.operations import settlement
from trading.queries import CHECKS
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor


def trade_often(floor: "Floor", count: int) -> None:
    """Make so many trades, none of them settled."""
    alice = world.alice()
    world.fund(alice, "100000")
    floor.offer("100", "278.60")
    for _ in range(count):
        floor.place(alice, "buy", quantity="0.5", limit_price="279")
    while floor.engine.run_batch():
        pass


class TestSettleDue:
    def test_posts_one_journal_a_trade_and_gives_releases_back(self, floor: "Floor") -> None:
        trade_often(floor, 3)
        assert trading.operations.settle_due(now=world.NOW) == 6  # each fill was below its limit
        assert Journal.objects.filter(kind="trade").count() == 3
        assert not Release.objects.filter(consumed_by=None).exists()
        assert trading.operations.settle_due(now=world.NOW) == 0

    def test_halves_a_failing_batch_and_holds_the_culprit_back(
        self, floor: "Floor", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        trade_often(floor, 5)
        culprit = Trade.objects.order_by("id")[2]
        honest = settlement.entry_of

        def overcharging(trade: Trade, fees: int) -> settlement.Entry:
            entry = honest(trade, fees)
            if trade != culprit:
                return entry
            cash = entry.legs[1]
            steep = settlement.Leg(cash.debit, cash.credit, 10**15)
            return settlement.Entry(entry.key, entry.kind, [steep], entry.captures[:0])

        monkeypatch.setattr(settlement, "entry_of", overcharging)
        trading.operations.settle_due(now=world.NOW)
        culprit.refresh_from_db()
        assert culprit.settled_at is None
        assert culprit.held_back.startswith("InsufficientFunds")
        assert f"trade {culprit.pk} is held back" in caplog.text
        assert Trade.objects.exclude(settled_at=None).count() == 4
        monkeypatch.undo()
        Trade.objects.filter(pk=culprit.pk).update(held_back="")
        trading.operations.settle_due(now=world.NOW)
        assert not Trade.objects.filter(settled_at=None).exists()

    def test_goes_on_while_batches_are_full(
        self, floor: "Floor", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trade_often(floor, 5)
        monkeypatch.setattr(settlement, "BATCH", 2)
        assert trading.operations.settle_due(now=world.NOW) == 10
        assert not Trade.objects.filter(settled_at=None).exists()
        assert not Release.objects.filter(consumed_by=None).exists()

    def test_leaves_it_to_the_settler_at_work(
        self, floor: "Floor", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trade_often(floor, 2)
        monkeypatch.setattr(settlement, "BATCH", 2)
        monkeypatch.setattr(settlement, "_alone", lambda: False)
        assert trading.operations.settle_due(now=world.NOW) == 0
        assert not Trade.objects.exclude(settled_at=None).exists()

    def test_gives_back_the_releases_of_its_batch_alone(self, floor: "Floor") -> None:
        trade_often(floor, 3)
        first, *others = settlement._unconsumed()
        assert settlement._give_back([first], world.NOW) == 1
        assert settlement._unconsumed() == others

    def test_announces_trades_and_puts_them_on_the_tape_by_who_took(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        floor.offer("1", "278.60")
        floor.place(alice, "buy", quantity="0.5", limit_price="279")  # takes
        floor.place(alice, "buy", quantity="1", limit_price="270")  # waits, and Carol takes it
        world.give(world.carol(), floor.instrument, "2")
        floor.place(world.carol(), "sell", quantity="0.25", limit_price="270")
        while floor.engine.run_batch():
            pass
        told: list[int] = []

        def listen(trade_ids: list[int], **_: object) -> None:
            told.extend(trade_ids)

        signals.trades_settled.connect(listen)
        try:
            trading.operations.settle_due(now=world.NOW)
        finally:
            signals.trades_settled.disconnect(listen)
        trades = Trade.objects.order_by("id")
        assert told == [trade.pk for trade in trades]
        tape = TapeTrade.objects.order_by("id").values_list("side", "quantity", "price")
        assert list(tape) == [
            ("buy", Decimal("0.5"), Decimal("278.6")),
            ("sell", Decimal("0.25"), Decimal(270)),
        ]

    def test_leaves_alone_what_another_settler_did_since_the_look(self, floor: "Floor") -> None:
        trade_often(floor, 3)
        trades, releases = settlement._unsettled(), settlement._unconsumed()
        assert (len(trades), len(releases)) == (3, 3)
        trading.operations.settle_due(now=world.NOW)
        books = [Account.objects.order_by("id"), Hold.objects.order_by("id")]
        before = [list(rows.values()) for rows in books]
        told: list[list[int]] = []

        def listen(trade_ids: list[int], **_: object) -> None:
            told.append(trade_ids)

        signals.trades_settled.connect(listen)
        try:
            assert settlement._settle_trades(trades, world.NOW) == 0
            assert settlement._give_back(releases, world.NOW) == 0
        finally:
            signals.trades_settled.disconnect(listen)
        assert told == []
        assert TapeTrade.objects.count() == 3
        assert [list(rows.values()) for rows in books] == before

    def test_leaves_alone_what_was_held_back_since_the_look(self, floor: "Floor") -> None:
        trade_often(floor, 1)
        [late] = settlement._unsettled()
        settlement._hold_back(late, ValueError("not so"))
        assert settlement._settle_trades([late], world.NOW) == 0
        assert not Journal.objects.filter(kind="trade").exists()

    def test_blames_no_trade_for_the_database_being_away(
        self, floor: "Floor", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trade_often(floor, 2)

        def away(**_: object) -> None:
            raise OperationalError("the connection is lost")

        monkeypatch.setattr(settlement.ledger, "post", away)
        with pytest.raises(OperationalError):
            trading.operations.settle_due(now=world.NOW)
        monkeypatch.undo()
        assert trading.operations.settle_due(now=world.NOW) == 4
        assert not Trade.objects.filter(settled_at=None).exists()

    def test_twenty_cost_as_many_statements_as_one(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        floor.offer("100", "278.60")
        draft = trading.operations.OrderDraft(
            floor.instrument,
            "buy",
            "limit",
            quantity=Decimal("0.5"),
            limit_price=Decimal("278.60"),
            close=trading.operations.Close(stop_loss=Decimal(250)),
        )
        counts = []
        for number in (1, 2, 20):  # the first opens the account for fees
            trading.operations.place_orders(drafts=[draft] * number, customer=alice, now=world.NOW)
            while floor.engine.run_batch():
                pass
            with CaptureQueriesContext(connection) as captured:
                assert trading.operations.settle_due(now=world.NOW) == number
            counts.append(len(captured))
        assert Order.objects.filter(closes__isnull=False).count() == 23
        assert counts[1] == counts[2]


class TestHalving:
    """How a batch that fails is taken apart."""

    @staticmethod
    def settle(ids: list[int], outcomes: dict[int, int | None]) -> int | None:
        def settle(ids: list[int], _now: object) -> int | None:
            if len(ids) > 1:
                raise IntegrityError
            return outcomes[ids[0]]

        return settlement._halving(ids, settle, world.NOW)

    def test_adds_up_what_the_parts_did(self) -> None:
        assert self.settle([1, 2, 3], {1: 1, 2: 0, 3: 1}) == 2

    @pytest.mark.parametrize("taken", [1, 2, 3])
    def test_stops_where_another_settler_took_a_part(self, taken: int) -> None:
        assert self.settle([1, 2, 3], {1: 1, 2: 1, 3: 1} | {taken: None}) is None

    def test_holds_no_trade_back_that_was_settled_meanwhile(self, floor: "Floor") -> None:
        trade_often(floor, 2)
        late, other = settlement._unsettled()
        settlement._settle_trades([late], world.NOW)
        assert settlement._hold_back(late, ValueError("x" * 300)) == 1
        assert settlement._hold_back(other, ValueError("x" * 300)) == 1
        reasons = Trade.objects.order_by("id").values_list("held_back", flat=True)
        assert list(reasons) == ["", "ValueError: " + "x" * 188]


class TestEntryOf:
    @pytest.mark.parametrize(
        ("buy_fee", "sell_fee", "fees", "captured"),
        [
            (1, -1, [("alice", "fees", 1), ("fees", "carol", 1)], 279),
            (-1, 1, [("fees", "alice", 1), ("carol", "fees", 1)], 278),
            (0, 0, [], 278),
        ],
    )
    def test_moves_each_sides_fee_or_rebate_to_the_unit(
        self, buy_fee: int, sell_fee: int, fees: list[tuple[str, str, int]], captured: int
    ) -> None:
        cash = {"fees": 9, "alice": 1, "carol": 3}
        trade = Trade(
            buy_order=Order(cash_account_id=1, token_account_id=2, hold_id=11),
            sell_order=Order(cash_account_id=3, token_account_id=4, hold_id=12),
            quantity=100,
            cost=278,
            buy_fee=buy_fee,
            sell_fee=sell_fee,
        )
        entry = settlement.entry_of(trade, fees=9)
        assert entry.legs == [
            settlement.Leg(4, 2, 100),
            settlement.Leg(1, 3, 278),
            *(settlement.Leg(cash[debit], cash[credit], amount) for debit, credit, amount in fees),
        ]
        assert entry.captures == [settlement.Capture(11, captured), settlement.Capture(12, 100)]


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestSettlersAtOnce:
    def test_settle_each_trade_once(self, transactional_db: None, friday: None) -> None:
        from tests.trading.floor import Floor  # noqa: PLC0415

        floor = Floor()
        trade_often(floor, 20)
        barrier = threading.Barrier(6)
        failures: list[Exception] = []

        def settle() -> None:
            try:
                barrier.wait(timeout=20)
                for _ in range(5):
                    trading.operations.settle_due(now=world.NOW)
            except Exception as failure:  # noqa: BLE001 - told to the test below
                failures.append(failure)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=settle) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        trading.operations.settle_due(now=world.NOW)
        assert Journal.objects.filter(kind="trade").count() == 20
        alice = Account.objects.get(owner=world.alice(), asset__code="AAPLx")
        assert alice.posted == 20 * 50_000_000
        late = "trades and releases are settled within a minute"  # the clock stands still here
        checks = [check for check in [*LEDGER_CHECKS, *CHECKS] if check.name != late]
        assert list(find_breaks(checks)) == []

    def test_a_settler_steps_back_while_another_works(
        self, transactional_db: None, friday: None
    ) -> None:
        from tests.trading.floor import Floor  # noqa: PLC0415

        floor = Floor()
        trade_often(floor, 1)
        owner = connections["owner"]
        with owner.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [settlement.LOCK])
            assert trading.operations.settle_due(now=world.NOW) == 0
            cursor.execute("SELECT pg_advisory_unlock(%s)", [settlement.LOCK])
        assert trading.operations.settle_due(now=world.NOW) == 2
        assert connection.in_atomic_block is False


class TestSettle:
    @pytest.fixture
    def runs(self, servers: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Let more become due during the first two runs, and count them."""
        runs: list[int] = []

        def settle_due(*, now: object) -> int:
            runs.append(1)
            if len(runs) < 3:
                realtime.run_soon(tasks.SETTLE)  # outside of a transaction: at once
            return 1

        monkeypatch.setattr(trading.operations, "settle_due", settle_due)
        realtime.begun(tasks.SETTLE)
        return runs

    @pytest.mark.django_db(transaction=True)
    def test_looks_again_where_more_became_due_meanwhile(self, runs: list[int]) -> None:
        assert tasks.settle() == 3
        assert len(runs) == 3

    @pytest.mark.django_db(transaction=True)
    def test_leaves_the_worker_to_others_after_a_while(
        self, runs: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tasks, "SPELL_S", 0)
        assert tasks.settle() == 1
        assert realtime.wanted_again(tasks.SETTLE)  # it will be sent anew


@pytest.mark.django_db
class TestMarkOfSimulated:
    @pytest.mark.parametrize("who", ["nobody", "alice@demo.test", "carol@demo.test"])
    def test_is_on_a_trade_of_which_either_side_is(self, floor: "Floor", who: str) -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        floor.offer("1", "278.60")
        User.objects.filter(email=who).update(simulated=True)
        floor.place(alice, "buy", quantity="1", limit_price="278.60")
        floor.run()
        assert TapeTrade.objects.get().simulated == (who != "nobody")
