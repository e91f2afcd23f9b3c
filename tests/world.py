"""The people and things of the tests, built by the product's own operations.

Alice trades, Bob waits for review, Carol has money; Sam supports, Oscar runs the markets, Olivia
approves. Everything is made on first use, so a test names what it needs and nothing else::

    alice = world.alice()                      # her account is open
    world.fund(alice, "1000")                  # USD by a bank deposit
    apple = world.instrument("AAPLx")
    world.give(alice, apple, "2.5")            # tokens, issued to her
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import instruments.operations
import instruments.queries
import kyc.operations
import kyc.queries
import ledger.operations
import ledger.queries
import payments.operations
import trading.operations
import users.operations
from common.money import USD, Amount
from instruments.models import Instrument
from kyc import rules
from kyc.models import Application, RestrictedPlace
from ledger.operations import AccountKey, Entry, Leg
from payments.operations import Movement
from users.models import Proposal, User
from users.operations import ProposalKind

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # a Friday on which New York trades
PASSWORD = "krakapp-demo"

ANSWERS: dict[str, Any] = {
    "first_names": "Alice",
    "last_names": "Moreau",
    "birth_date": date(1991, 4, 12),
    "street": "12 rue des Lilas",
    "postal_code": "75011",
    "city": "Paris",
    "residence": "FR",
    "citizenship": "FR",
    "tax_residence": "FR",
    "tax_id": "1234567890123",
    "us_person": False,
}
ACCEPTED = [(one.document, one.version) for one in rules.AGREEMENTS]


# People


def alice() -> User:
    """A customer whose account is open."""
    return active("alice@demo.test", first_names="Alice")


def bob() -> User:
    """A customer whose application waits for review."""
    user = customer("bob@demo.test")
    if kyc.queries.application_of(user) is None:
        submit(user, first_names="Bob", last_names="Okafor")
    return user


def carol() -> User:
    """Another customer whose account is open."""
    return active("carol@demo.test", first_names="Carol", last_names="Lindqvist")


def sam() -> User:
    """Support staff."""
    return staff("sam@demo.test", "Support")


def olivia() -> User:
    """Compliance staff."""
    return staff("olivia@demo.test", "Compliance")


def oscar() -> User:
    """Who runs the markets."""
    return staff("oscar@demo.test", "Operations")


def tara() -> User:
    """Who moves the house's money."""
    return staff("tara@demo.test", "Treasury")


def customer(email: str) -> User:
    """Somebody who has signed up and proven the e-mail address, and nothing else."""
    return users.operations.create_person(email=email, password=PASSWORD, now=NOW)


def simulated(email: str = "robin@demo.test") -> User:
    """Nobody: a customer whom the demo plays."""
    return users.operations.create_person(email=email, password=None, simulated=True, now=NOW)


def staff(email: str, group: str) -> User:
    """Somebody of the staff, in a group."""
    return users.operations.create_person(email=email, password=PASSWORD, group=group, now=NOW)


def active(email: str, **answers: Any) -> User:
    """A customer by any name whose account is open."""
    user = customer(email)
    if kyc.queries.application_of(user) is None:
        approve(submit(user, **answers))
    return user


def submit(user: User, **answers: Any) -> Application:
    """Hand in an application with good answers, or with the ones given."""
    kyc.operations.save_draft(user=user, answers={**ANSWERS, **answers}, now=NOW)
    return kyc.operations.submit(user=user, agreements=ACCEPTED, ip_address="192.0.2.7", now=NOW)


def refused(user: User) -> Application:
    """Hand in an application from a country that policy has restricted since it was written."""
    kyc.operations.save_draft(user=user, answers=ANSWERS, now=NOW)
    RestrictedPlace.objects.get_or_create(
        country="FR", ground="residence", since=NOW, defaults={"reason": "No longer in France."}
    )
    return kyc.operations.submit(user=user, agreements=ACCEPTED, ip_address="192.0.2.7", now=NOW)


def approve(application: Application, *, proposer: User | None = None) -> Application:
    """Let Sam, or another, propose to open the account, and Olivia open it."""
    payload = {
        "application": application.uid,
        "version": application.version,
        "message": "",
    }
    decide(kyc.operations.APPROVE, payload, proposer=proposer or sam(), approver=olivia())
    application.refresh_from_db()
    return application


def decide(
    kind: ProposalKind,
    payload: dict[str, Any],
    *,
    proposer: User,
    approver: User,
    now: datetime = NOW,
) -> Proposal:
    """Let one person propose something, and another approve it."""
    made = users.operations.propose(
        kind=kind.name, payload=payload, actor=proposer, reason="All is well.", now=now
    )
    return users.operations.approve(proposal=made, actor=approver, now=now)


def restrict(country: str, ground: str, reason: str, **dates: date) -> RestrictedPlace:
    """Make policy, as compliance does in the admin: in force since January unless dated."""
    return RestrictedPlace.objects.create(
        country=country, ground=ground, reason=reason, **{"since": date(2026, 1, 1), **dates}
    )


# Money and tokens


def usd(amount: str | Decimal) -> Amount:
    """So many dollars."""
    return Amount.parse(amount, USD)


def fund(user: User, amount: str) -> None:
    """Deposit dollars: announced by the customer, told by the bank."""
    _assets()
    instruction = payments.operations.announce_deposit(user=user, amount=usd(amount), now=NOW)
    payments.operations.receive_bank_credit(
        external_id=f"test-{instruction.reference}",
        reference=instruction.reference,
        amount=usd(amount),
        now=NOW,
    )


def give(user: User, of: Instrument, shares: str) -> None:
    """Give tokens to a customer: so many, before the multiplier.

    They come without a trade, by a journal of a kind that only the tests' owner has listed, so the
    portfolio knows no lots of them, and an audit says so.
    """
    issuer, account = ledger.operations.open_accounts(
        keys=[
            AccountKey(None, of.asset_id, "issuer"),
            AccountKey(user.pk, of.asset_id, "customer"),
        ]
    )
    leg = Leg(issuer, account, Amount.parse(shares, of.asset).units)
    entry = Entry(key=f"give:{uuid4()}", kind="test", legs=[leg])
    ledger.operations.post(entries=[entry], occurred_at=NOW)


def stock_house(of: Instrument, *, shares: str = "1000", dollars: str = "1000000") -> None:
    """Give the house's liquidity and dealer accounts tokens of an instrument, and dollars."""
    tokens = Amount.parse(shares, of.asset)
    move_treasury(
        *(Movement("issue", purse, tokens) for purse in ("liquidity", "dealer")),
        *(Movement("capital", purse, usd(dollars)) for purse in ("liquidity", "dealer")),
    )


def move_treasury(*movements: Movement, reference: str = "") -> None:
    """Move the house's money: Tara proposes, Olivia approves."""
    payload = payments.operations.treasury_payload(
        movements=movements, reference=reference or f"test-{uuid4()}"
    )
    decide(payments.operations.MOVE_TREASURY, payload, proposer=tara(), approver=olivia())


def balance(user: User, code: str = "USD") -> Decimal:
    """What a customer has of an asset, held or not, in wholes."""
    return _balance(user, code, "posted")


def available(user: User, code: str = "USD") -> Decimal:
    """What a customer has of an asset and has not set aside, in wholes."""
    return _balance(user, code, "available")


# Instruments


def instrument(symbol: str = "AAPLx") -> Instrument:
    """One of the listed instruments."""
    _assets()
    return instruments.queries.by_symbol(symbol)


def split(of: Instrument, to: int) -> None:
    """Have two people split an instrument's shares, and do the engine's part for it."""
    trading.operations.list_books(shard_name="main")
    day = NOW + timedelta(days=2)
    payload = {
        "symbol": of.symbol,
        "kind": "split",
        "event": f"{to} for 1",
        "ratio_to": to,
        "ratio_from": 1,
        "net_amount": None,
        "reinvestment_price": None,
        "effective_at": day,
    }
    decide(trading.operations.CORPORATE_ACTION, payload, proposer=oscar(), approver=olivia())
    action = of.corporate_actions.filter(pk=of.corporate_actions.latest("id").pk)
    action.update(status="halted", halted_at=day)
    action.update(status="ordered", ordered_at=day)
    instruments.operations.set_multipliers(multipliers={of.pk: of.multiplier * to})
    action.update(status="done", done_at=day)
    of.refresh_from_db()


def _assets() -> None:
    if not Instrument.objects.exists():
        instruments.operations.load_instruments()


def _balance(user: User, code: str, part: str) -> Decimal:
    for account in ledger.queries.balances_of(user):
        if account.asset.code == code:
            return Amount(getattr(account, part), account.asset).decimal
    return Decimal(0)
