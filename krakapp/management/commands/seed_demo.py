from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

import instruments.operations
import instruments.queries
import kyc.operations
import kyc.queries
import kyc.rules
import ledger.queries
import payments.operations
import payments.queries
import portfolio.operations
import spending.operations
import spending.queries
import trading.operations
import users.operations
import users.queries
from common import clock
from common.money import USD, Amount
from instruments.models import Instrument
from krakapp.staff import setup_key
from market.rules import candles, simulation
from market.rules.simulation import Walker
from payments.operations import Movement
from users.models import User

DONE = "demo.seeded"
ADDRESS = "192.0.2.44"  # of the documentation's network: nobody's connection
HOUSE_PURSES = ("liquidity", "dealer")
HOUSE_USD = 50_000_000
HOUSE_NOTIONAL_USD = 5_000_000
DIME = Decimal("0.1")  # prices and quantities of the past in tenths make costs of whole cents


@dataclass(frozen=True)
class Past:
    """A trade of Alice's: so many days ago, worth about so many dollars."""

    days_ago: int
    symbol: str
    side: str
    usd: int


ALICE: dict[str, Any] = {
    "first_names": "Alice",
    "last_names": "Moreau",
    "birth_date": date(1991, 4, 12),
    "street": "12 rue des Lilas",
    "postal_code": "75011",
    "city": "Paris",
    "residence": "FR",
    "citizenship": "FR",
    "tax_residence": "FR",
    "tax_id": "3023217600053",
    "us_person": False,
}
CAROL: dict[str, Any] = {
    "first_names": "Carol",
    "last_names": "Lindqvist",
    "birth_date": date(1985, 9, 30),
    "street": "Storgatan 8",
    "postal_code": "211 42",
    "city": "Malmö",
    "residence": "SE",
    "citizenship": "SE",
    "tax_residence": "SE",
    "tax_id": "850930-1238",
    "us_person": False,
}
ALICE_CASH = Decimal(10_000)
CAROL_CASH = Decimal(2_500)
ALICE_DEPOSITS = [(196, Decimal(6_000)), (121, Decimal(4_000)), (64, Decimal(2_000))]
ALICE_TRADES = [
    Past(188, "AAPLx", "buy", 1500),
    Past(171, "SPYx", "buy", 1400),
    Past(133, "NVDAx", "buy", 1300),
    Past(112, "TSLAx", "buy", 1100),
    Past(86, "AAPLx", "buy", 700),
    Past(58, "TSLAx", "sell", 450),
    Past(37, "KOx", "buy", 600),
    Past(16, "NVDAx", "sell", 400),
]


class Command(BaseCommand):
    help = "Make the demo's people, their past and the house's capital, once."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo's people exist in demo mode only (KRAKAPP_DEMO=1).")
        if not users.queries.was_recorded(DONE):
            seed(now=clock.now().replace(microsecond=0))
        enroll_staff()


def seed(*, now: datetime) -> None:
    """Build the demo's world. Each step is whole or not at all, and skips what is there already."""
    if not instruments.queries.listed():
        instruments.operations.load_instruments()
    people = make_people(now=now)
    fund_house(proposer=people["tara"], approver=people["olivia"], now=now - timedelta(days=200))
    alice, carol, staff = people["alice"], people["carol"], (people["sam"], people["olivia"])
    open_account(user=alice, answers=ALICE, staff=staff, now=now - timedelta(days=198))
    open_account(user=carol, answers=CAROL, staff=staff, now=now - timedelta(days=75))
    for days, amount in ALICE_DEPOSITS:
        at = now - timedelta(days=days, hours=3)
        deposit(user=alice, amount=amount, name=f"alice-{days}", now=at)
    live_past(user=alice, now=now)
    last = ALICE_CASH - cash_of(alice)  # whatever the past has cost her
    deposit(user=alice, amount=last, name="alice-last", now=now - timedelta(days=9))
    deposit(user=carol, amount=CAROL_CASH, name="carol", now=now - timedelta(days=70))
    issue_card(user=alice, now=now - timedelta(days=30))
    portfolio.operations.book_lots()
    for user in (alice, carol):
        users.operations.mark_read(user=user, now=now)
    users.operations.record(action=DONE, actor=None, subject=None, at=now)


def make_people(*, now: datetime) -> dict[str, User]:
    """Make everybody, by the name before the @."""
    customers = (("alice", "", 199), ("carol", "", 76), ("bob", "", 1))
    return make_staff(now=now) | make(customers, now=now)


def make_staff(*, now: datetime) -> dict[str, User]:
    """Make who works here, by the name before the @."""
    staff = (
        ("admin", "", 201),
        ("olivia", "Compliance", 201),
        ("oscar", "Operations", 201),
        ("tara", "Treasury", 201),
        ("sam", "Support", 200),
    )
    return make(staff, now=now)


def make(people: Iterable[tuple[str, str, int]], *, now: datetime) -> dict[str, User]:
    """Make people by name, group, and how many days ago they came."""
    return {
        name: users.operations.create_person(
            email=f"{name}@demo.test",
            password=settings.DEMO_PASSWORD,
            group=group,
            is_superuser=name == "admin",
            now=now - timedelta(days=days),
        )
        for name, group, days in people
    }


def enroll_staff() -> None:
    """Give the demo's staff their second step, which the home's secrets know."""
    for user in User.objects.filter(is_staff=True, email__endswith="@demo.test"):
        users.operations.enroll_app(user=user, key=setup_key(user.email))


def fund_house(*, proposer: User, approver: User, now: datetime) -> None:
    """Let two people give the market maker and the dealer dollars, and tokens of everything."""
    dollars = Amount.parse(Decimal(HOUSE_USD), USD)
    listed = [worth(one) for one in instruments.queries.listed()]
    move_treasury(
        [
            *(Movement("capital", purse, dollars) for purse in HOUSE_PURSES),
            *(Movement("issue", purse, amount) for amount in listed for purse in HOUSE_PURSES),
        ],
        reference="demo-capital",
        proposer=proposer,
        approver=approver,
        now=now,
    )


def move_treasury(
    movements: Sequence[Movement], *, reference: str, proposer: User, approver: User, now: datetime
) -> None:
    """Move the house's money as two people decide, unless that was done before."""
    if payments.queries.was_moved(reference):
        return
    with transaction.atomic():
        proposal = users.operations.propose(
            kind=payments.operations.MOVE_TREASURY.name,
            payload=payments.operations.treasury_payload(movements=movements, reference=reference),
            actor=proposer,
            reason="The demo's house needs something to trade with.",
            now=now,
        )
        users.operations.approve(proposal=proposal, actor=approver, now=now)


def worth(instrument: Instrument) -> Amount:
    """Give as many whole shares as are worth the house's notional."""
    whole = int(HOUSE_NOTIONAL_USD / instrument.demo_price)
    return Amount.parse(Decimal(whole), instrument.asset)


def open_account(
    *, user: User, answers: dict[str, Any], staff: tuple[User, User], now: datetime
) -> None:
    """Fill an application in, hand it in, and let two of the staff approve it an hour later."""
    if kyc.queries.application_of(user) is None:
        with transaction.atomic():
            kyc.operations.save_draft(user=user, answers=answers, now=now)
            agreements = [(one.document, one.version) for one in kyc.rules.AGREEMENTS]
            kyc.operations.submit(
                user=user,
                agreements=agreements,
                ip_address=ADDRESS,
                now=now + timedelta(minutes=6),
            )
    application = kyc.queries.application_of(user)
    if application and application.status in kyc.queries.QUEUE:
        later = now + timedelta(hours=1)
        reviewer, approver = staff
        with transaction.atomic():
            proposal = users.operations.propose(
                kind=kyc.operations.APPROVE.name,
                payload={
                    "application": application.uid,
                    "version": application.version,
                    "message": "",
                },
                actor=reviewer,
                reason="Checked for the demo.",
                now=later,
            )
            users.operations.approve(proposal=proposal, actor=approver, now=later)


@transaction.atomic
def deposit(*, user: User, amount: Decimal, name: str, now: datetime) -> None:
    """Let a customer deposit dollars, announced and arrived, unless that deposit is there."""
    external_id = f"demo-{name}"
    if payments.queries.is_known_credit(external_id):
        return
    dollars = Amount.parse(amount, USD)
    instruction = payments.operations.announce_deposit(user=user, amount=dollars, now=now)
    payments.operations.receive_bank_credit(
        external_id=external_id,
        reference=instruction.reference,
        amount=dollars,
        now=now + timedelta(hours=2),
    )


def cash_of(user: User) -> Decimal:
    """Say how many dollars a customer has."""
    return held_of(user, USD.code)


def held_of(user: User, code: str) -> Decimal:
    """Say how much of an asset a customer has."""
    for account in ledger.queries.balances_of(user):
        if account.asset.code == code:
            return Amount(account.available, account.asset).decimal
    return Decimal(0)


def live_past(*, user: User, now: datetime) -> None:
    """Trade with the house as the demo's history says, at the prices its charts will show."""
    traded = {one.symbol: instruments.queries.by_symbol(one.symbol) for one in ALICE_TRADES}
    closes = past_closes(traded.values(), now=now)
    for number, one in enumerate(ALICE_TRADES):
        at = (now - timedelta(days=one.days_ago)).replace(hour=16, minute=5 + number, second=0)
        price = price_at(closes[one.symbol], at)
        shares = max((one.usd / price).quantize(DIME, ROUND_FLOOR), DIME)
        if one.side == "sell":
            shares = min(shares, held_of(user, one.symbol))
        trading.operations.trade_with_house(
            customer=user,
            instrument=traded[one.symbol],
            side=one.side,
            quantity=Amount.parse(shares, traded[one.symbol].asset).units,
            price=price,
            now=at,
            key=f"demo:{number}",
        )


def past_closes(
    traded: Iterable[Instrument], *, now: datetime
) -> dict[str, list[tuple[datetime, Decimal]]]:
    """Simulate the past year as the feed will at its first start, from the same seed.

    The feed starts moments later and from the same prices, so its charts and this agree to within
    the noise of a few minutes.

    :returns: (time, price) of each close by symbol, oldest first
    """
    listed = list(traded)
    since = candles.begin("1d", now - simulation.HISTORY)
    plans = {
        hours: simulation.slots(seed=settings.SIMULATION_SEED, hours=hours, since=since, now=now)
        for hours in {one.hours for one in listed}
    }
    closes = {}
    for one in listed:
        walker = Walker(one.symbol, one.type, one.hours, int(one.demo_price / one.tick_size))
        bars = simulation.history(
            seed=settings.SIMULATION_SEED, walker=walker, plan=plans[one.hours], backward=True
        )
        closes[one.symbol] = [(bar.time, bar.close * one.tick_size) for bar in bars]
    return closes


def price_at(closes: list[tuple[datetime, Decimal]], at: datetime) -> Decimal:
    """Give the last close before a moment, to the dime."""
    last = [price for time, price in closes if time <= at][-1]
    return max(last.quantize(DIME, ROUND_HALF_EVEN), DIME)


def issue_card(*, user: User, now: datetime) -> None:
    """Issue a virtual card, unless there is one."""
    if not spending.queries.cards_of(user):
        spending.operations.issue_card(user=user, now=now)
