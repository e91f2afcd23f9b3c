from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test import Client

import instruments.queries
import kyc.operations
import trading.operations
import trading.queries
import users.operations
import users.queries
from common.invariants import find_breaks
from instruments.models import CorporateAction
from tests import world
from trading.models import Book, Command, Order, Trade
from trading.operations import corporate_actions, markets
from users.models import AuditEntry, Proposal

if TYPE_CHECKING:
    from tests.trading.floor import Floor

DAY = world.NOW + timedelta(days=2)  # of every action here
DIVIDEND = {
    "kind": "dividend",
    "event": "A dividend",
    "ratio_to": None,
    "ratio_from": None,
    "net_amount": Decimal("0.26"),
    "reinvestment_price": Decimal(260),
}


def book_of(floor: "Floor") -> Book:
    return Book.objects.get(instrument=floor.instrument)


class TestASplit:
    def test_changes_nothing_before_its_day(self, floor: "Floor") -> None:
        floor.propose_action(to=4)
        floor.live_through(DAY - timedelta(hours=1))
        assert floor.instrument.multiplier == 1
        assert book_of(floor).state == "online"

    def test_halts_the_market_shortly_before(self, floor: "Floor") -> None:
        floor.propose_action(to=4)
        floor.live_through(DAY - timedelta(seconds=1))
        assert floor.instrument.multiplier == 1
        assert book_of(floor).state == "maintenance"

    def test_cancels_what_is_open_counts_anew_and_opens_again(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        before = floor.place(alice, "buy", quantity="1", limit_price="100")
        floor.split(4)
        before.refresh_from_db()
        assert (before.status, before.reason) == ("cancelled", "corporate_action")
        assert world.available(alice) == 1000
        assert floor.instrument.multiplier == 4
        assert book_of(floor).state == "online"
        floor.offer("4", "25")
        floor.place(alice, "buy", quantity="4", limit_price="25")
        floor.run()
        assert world.balance(alice, "AAPLx") == 1  # base units: four shares are one of before
        assert world.balance(alice) == Decimal("899.9")
        assert CorporateAction.objects.get().status == "done"

    def test_has_the_house_quote_anew(self, floor: "Floor") -> None:
        world.stock_house(floor.instrument)
        desk = trading.operations.Desk()
        desk.step(now=world.NOW)
        floor.run()
        floor.split(2)
        desk.step(now=world.NOW)
        floor.run()
        quote = Order.objects.get(instrument=floor.instrument, type="quote", side="sell")
        assert len(quote.engine_state["levels"]) == 5

    def test_leaves_a_market_closed_that_was(self, floor: "Floor") -> None:
        halt = {"actor": world.oscar(), "reason": "A storm.", "now": world.NOW}
        trading.operations.halt_market(book=book_of(floor), state="maintenance", **halt)
        floor.run()
        floor.split(4)
        assert (floor.instrument.multiplier, book_of(floor).state) == (4, "maintenance")

    def test_is_halted_again_where_somebody_opened_the_market_meanwhile(
        self, floor: "Floor"
    ) -> None:
        floor.propose_action(to=4)
        floor.live_through(DAY - timedelta(seconds=1))
        opened = {"actor": world.oscar(), "reason": "By mistake.", "now": world.NOW}
        markets.change_state(book=book_of(floor), state="online", **opened)
        floor.run()
        trading.operations.carry_out_actions(now=DAY)
        assert floor.instrument.multiplier == 1
        assert Command.objects.latest("id").payload["state"] == "maintenance"
        floor.live_through(DAY)
        assert (floor.instrument.multiplier, book_of(floor).state) == (4, "online")

    def test_names_who_and_why_in_the_trail(self, floor: "Floor") -> None:
        floor.split(4, event="AAPL 4 for 1, notice 77")
        entry = AuditEntry.objects.get(action="market.multiplier_changed")
        assert (entry.actor, entry.reason) == (world.olivia(), "AAPL 4 for 1, notice 77")

    def test_backwards_makes_one_share_of_many(self, floor: "Floor") -> None:
        floor.propose_action(kind="reverse_split", to=1, ratio_from=8)
        floor.live_through(DAY)
        assert floor.instrument.multiplier == Decimal("0.125")


class TestADividend:
    def test_grows_the_multiplier_by_what_it_buys(self, floor: "Floor") -> None:
        floor.propose_action(**DIVIDEND)
        floor.live_through(DAY)
        assert floor.instrument.multiplier == Decimal("1.001")

    @pytest.mark.parametrize("amount", ["52", "100", "0", "-1"])
    def test_is_less_than_a_fifth_of_the_price(self, floor: "Floor", amount: str) -> None:
        with pytest.raises(corporate_actions.EventUnsound):
            floor.propose_action(**{**DIVIDEND, "net_amount": Decimal(amount)})


class TestNobody:
    """Makes money of a multiplier, as Sam did when he set it to 10."""

    PAGE = {
        "kind": "split",
        "event": "Sam's event",
        "ratio_to": "10",
        "ratio_from": "1",
        "effective_at_0": "2099-01-01",
        "effective_at_1": "00:00:00",
        "reason": "For me.",
    }

    def propose(self, desk: Client, floor: "Floor") -> int:
        page = f"/admin/trading/book/{book_of(floor).pk}/action/"
        return desk.post(page, self.PAGE).status_code

    def approve(self, desk: Client) -> None:
        desk.post(f"/admin/users/proposal/{Proposal.objects.get().pk}/approve/")

    def test_of_support_may_ask_for_one(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.sam())
        assert self.propose(desk, floor) == 403
        assert not Proposal.objects.exists()

    def test_decides_alone(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.oscar())
        assert self.propose(desk, floor) == 302
        self.approve(desk)
        assert not CorporateAction.objects.exists()

    def test_decides_alone_as_a_superuser(self, floor: "Floor") -> None:
        desk = Client()
        admin = users.operations.create_person(
            email="admin@demo.test", password=world.PASSWORD, is_superuser=True, now=world.NOW
        )
        desk.force_login(admin)
        assert self.propose(desk, floor) == 302
        self.approve(desk)
        page = f"/admin/instruments/instrument/{floor.instrument.pk}/change/"
        assert desk.post(page, {"multiplier": "10"}).status_code == 403
        assert desk.post("/admin/instruments/corporateaction/add/", self.PAGE).status_code == 403
        assert not CorporateAction.objects.exists()

    def test_decides_on_it_from_support(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.oscar())
        self.propose(desk, floor)
        desk.force_login(world.sam())
        self.approve(desk)
        assert not CorporateAction.objects.exists()

    def test_asks_twice_while_one_waits(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.oscar())
        for _ in range(2):
            self.propose(desk, floor)
        assert Proposal.objects.count() == 1

    @pytest.mark.parametrize(
        ("terms", "refusal"),
        [
            ({"effective_at": world.NOW}, corporate_actions.TooSoon),
            ({"to": 1}, corporate_actions.EventUnsound),
            ({"to": 1, "ratio_from": 4}, corporate_actions.EventUnsound),
            ({"to": 2000}, corporate_actions.EventUnsound),
            ({"net_amount": Decimal(1)}, corporate_actions.EventUnsound),
        ],
    )
    def test_explains_it_by_what_does_not(
        self, floor: "Floor", terms: dict[str, Any], refusal: type[Exception]
    ) -> None:
        with pytest.raises(refusal):
            floor.propose_action(**terms)

    def test_has_two_at_a_time(self, floor: "Floor") -> None:
        floor.propose_action(event="First")
        with pytest.raises(corporate_actions.ActionUnderWay):
            floor.propose_action(event="Second")

    def test_has_one_event_twice(self, floor: "Floor") -> None:
        floor.split(4, event="First")
        with pytest.raises(corporate_actions.EventKnown):
            floor.propose_action(event="first", now=DAY)


class TestCancel:
    def test_stops_it_and_leaves_the_market_as_it_is(self, floor: "Floor") -> None:
        floor.propose_action(to=4)
        floor.live_through(DAY - timedelta(seconds=1))
        self.cancel(CorporateAction.objects.get())
        floor.live_through(DAY)
        assert (floor.instrument.multiplier, book_of(floor).state) == (1, "maintenance")

    def test_comes_too_late_once_it_is_done(self, floor: "Floor") -> None:
        floor.split(4)
        with pytest.raises(corporate_actions.TooLateToCancel):
            self.cancel(CorporateAction.objects.get())

    def cancel(self, action: CorporateAction) -> None:
        trading.operations.cancel_corporate_action(
            action=action, actor=world.oscar(), reason="A false report.", now=world.NOW
        )


# What the app's own role tries: `{id}` is the instrument, `{action}` an approved action of a split.
DEEDS = [
    ("UPDATE instruments_instrument SET multiplier = 10", "no corporate action explains"),
    ("UPDATE instruments_instrument SET multiplier = 4", "no corporate action explains"),
    (
        """
        INSERT INTO trading_command (shard_id, kind, payload, result, reason)
        SELECT shard_id, 'multiplier', jsonb_build_object(
            'instrument', instrument_id, 'multiplier_e18', 10000000000000000000), '', ''
        FROM trading_book
        """,
        "no corporate action explains",
    ),
    (
        "UPDATE instruments_corporateaction SET multiplier_after = 10, ratio_to = 10",
        "permission denied",
    ),
    ("UPDATE instruments_corporateaction SET effective_at = now()", "permission denied"),
    ("UPDATE instruments_corporateaction SET status = 'ordered'", "goes its way once"),
    ("DELETE FROM instruments_corporateaction", "permission denied"),
    (
        """
        INSERT INTO instruments_corporateaction (uid, instrument_id, kind, event, ratio_to,
            ratio_from, multiplier_before, multiplier_after, proposal_id, scheduled_at,
            effective_at, status, state_before)
        SELECT gen_random_uuid(), instrument_id, kind, 'Mine', 10, 1, multiplier_before, 10,
            proposal_id + 1, now() - interval '2 days', now(), 'scheduled', ''
        FROM instruments_corporateaction
        """,
        "no proposal explains",
    ),
]


class TestTheDatabase:
    @pytest.mark.parametrize(("deed", "refusal"), DEEDS)
    def test_refuses_the_app(self, floor: "Floor", deed: str, refusal: str) -> None:
        floor.propose_action(to=4)
        with pytest.raises(DatabaseError, match=refusal), transaction.atomic():
            connection.cursor().execute(deed)

    def test_refuses_an_order_ahead_of_its_time(self, floor: "Floor") -> None:
        ahead = world.NOW + timedelta(days=36500)
        floor.propose_action(to=4, effective_at=ahead)
        CorporateAction.objects.update(status="halted")
        with pytest.raises(IntegrityError, match="is not due"), transaction.atomic():
            CorporateAction.objects.update(status="ordered")

    def test_refuses_the_orm(self, floor: "Floor") -> None:
        floor.instrument.multiplier = Decimal(10)
        with pytest.raises(IntegrityError, match="no corporate action"), transaction.atomic():
            floor.instrument.save()

    def test_begins_every_instrument_at_one(self, floor: "Floor") -> None:
        floor.instrument.pk, floor.instrument.multiplier = None, Decimal(10)
        with pytest.raises(IntegrityError, match="begins with a multiplier"), transaction.atomic():
            floor.instrument.save()


# What the owner of the tables, or who took its place, may break: the audit names it.
BREAKS = {
    "multipliers follow from corporate actions": (
        "UPDATE instruments_instrument SET multiplier = 40 WHERE symbol = 'AAPLx'"
    ),
    "corporate actions follow each other": (
        "UPDATE instruments_corporateaction SET multiplier_before = 2, multiplier_after = 8"
    ),
    "corporate actions lie within what their events explain": (
        "ALTER TABLE instruments_corporateaction DROP CONSTRAINT corporate_action_factor;"
        "UPDATE instruments_corporateaction SET multiplier_after = 10"
    ),
    "two people scheduled each corporate action": (
        "UPDATE instruments_corporateaction SET event = 'Another'"
    ),
    "corporate actions happen at their time": (
        "UPDATE instruments_corporateaction SET status = 'ordered',"
        " effective_at = effective_at - interval '1 hour'"
    ),
    "every trade and every new multiplier belongs to a corporate action": (
        "DELETE FROM instruments_corporateaction"
    ),
}


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestTheAudit:
    CHECKS = [*instruments.queries.CHECKS, *trading.queries.CHECKS, *users.queries.CHECKS]

    @pytest.fixture
    def traded(self, transactional_db: None, friday: None) -> "Floor":
        """A market in which a trade was before a split, and another after it."""
        from tests.trading.floor import NOTICE, Floor  # noqa: PLC0415

        floor = Floor()
        floor.instrument = world.instrument("AAPLx")
        world.fund(world.alice(), "1000")
        self.trade(floor, "278.60")
        floor.split(4, now=datetime.now(tz=UTC) - NOTICE)
        self.trade(floor, "69.60")
        return floor

    def trade(self, floor: "Floor", price: str) -> None:
        floor.offer("1", price)
        floor.place(world.alice(), "buy", quantity="1", limit_price=price)
        floor.run()

    def test_finds_nothing_in_a_market_that_was_split(self, traded: "Floor") -> None:
        assert {str(t.multiplier.normalize()) for t in Trade.objects.all()} == {"1", "4"}
        assert list(find_breaks(self.CHECKS)) == []

    @pytest.mark.parametrize("name", BREAKS)
    def test_names_what_is_broken(self, traded: "Floor", name: str) -> None:
        [check] = [one for one in self.CHECKS if one.name == name]
        owner = connections["owner"]
        owner.set_autocommit(False)
        try:
            with owner.cursor() as cursor:
                cursor.execute(BREAKS[name])
                cursor.execute(check.sql)
                assert cursor.fetchall()
        finally:
            owner.rollback()
            owner.set_autocommit(True)

    def test_names_a_decision_that_no_second_person_made(self, transactional_db: None) -> None:
        application = world.bob().application
        kyc.operations.approve(
            application=application, actor=world.sam(), version=application.version, now=world.NOW
        )
        found = [one.check for one in find_breaks(users.queries.CHECKS)]
        assert found == ["what two decide was decided by two"]
