"""The demo's simulated customers, who keep its tape alive.

Celery's beat is their clock: at each tick one of them may do one thing, by the same operations as
a customer's request. Whatever a tick does is one transaction, and what rests on a book expires by
itself, so nothing is left behind wherever they are killed. They hold between `POOR_USD` and what
they began with, give or take what prices do: who is poor deposits again, nobody gets more.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from django.conf import settings
from django.db import transaction

import instruments.queries
import ledger.queries
import market.queries
import payments.operations
import payments.queries
import trading.operations
import trading.queries
import users.operations
import users.queries
from common.errors import DomainError
from common.money import USD, Amount
from instruments.models import Instrument
from krakapp.demo.habits import Market, Purse, wish
from krakapp.management.commands import seed_demo
from market.queries import Reference
from payments.models import DepositInstruction
from users.models import User

logger = logging.getLogger(__name__)

TICK_S = 2.0
BUSY, QUIET = 0.9, 0.4  # orders a tick while New York trades, and while it does not
CHANGES_MIND = 0.3  # how often who has an open order takes it back instead of placing another
START_USD = Decimal(5_000)
POOR_USD = Decimal(2_000)
FRESH_S = 10
EMAIL = "simulated-{:02}@demo.test"
FIRST_NAMES = ("Ada", "Bruno", "Clara", "Dario", "Elsa", "Félix", "Greta", "Hugo", "Ines", "Jonas")
LAST_NAMES = ("Albers", "Bonnet", "Carlsen")
ANSWERS: dict[str, Any] = {
    "birth_date": seed_demo.ALICE["birth_date"],
    "street": "1 place de la Bourse",
    "postal_code": "75002",
    "city": "Paris",
    "residence": "FR",
    "citizenship": "FR",
    "tax_residence": "FR",
    "tax_id": seed_demo.ALICE["tax_id"],
    "us_person": False,
}


def live(*, now: datetime, random: Random) -> str:
    """Let one more customer come, or one of those there are do something; say what was done."""
    people = list(users.queries.simulated_customers()[: settings.SIMULATED_CUSTOMERS])
    if len(people) < settings.SIMULATED_CUSTOMERS:
        return welcome(number=len(people) + 1, now=now)
    pace = BUSY if market.queries.primary_is_open(now) else QUIET
    if not people or random.random() >= pace:
        return "nothing"
    customer = random.choice(people)
    try:
        return _act(customer, random, now)
    except DomainError as refusal:  # as a customer is refused: the market halts, a price moved on
        logger.info("%s is refused: %s", customer, refusal.detail)
        return "refused"


@transaction.atomic
def welcome(*, number: int, now: datetime) -> str:
    """Make one more customer, verified, with the first deposit on its way: all or nothing."""
    staff = seed_demo.make_staff(now=now)
    customer = users.operations.create_person(
        email=EMAIL.format(number), password=None, simulated=True, now=now
    )
    family, given = divmod(number - 1, len(FIRST_NAMES))
    names = {
        "first_names": FIRST_NAMES[given],
        "last_names": LAST_NAMES[family % len(LAST_NAMES)],
    }
    seed_demo.open_account(
        user=customer,
        answers=ANSWERS | names,
        staff=(staff["sam"], staff["olivia"]),
        now=now - timedelta(hours=2),
    )
    return _deposit(customer, START_USD, now)


def _act(customer: User, random: Random, now: datetime) -> str:
    """Do one thing: deposit where there is little left, take an order back, or place one."""
    listed = list(instruments.queries.listed())
    references = market.queries.references(listed)
    purse, equity = _belongings(customer, listed, references)
    if equity < POOR_USD:
        return _deposit(customer, START_USD - equity.quantize(Decimal(1)), now)
    resting = trading.queries.open_orders_of(customer).first()
    if resting and random.random() < CHANGES_MIND:
        trading.operations.cancel_order(order=resting, now=now)
        return "cancelled"
    markets = _open_markets(listed, references, now)
    draft = wish(purse=purse, markets=markets, equity=equity, random=random, now=now)
    if draft is None:
        return "nothing"
    trading.operations.place_order(draft=draft, customer=customer, now=now)
    return f"{draft.type} {draft.side}"


def _open_markets(
    listed: Sequence[Instrument], references: Mapping[str, Reference], now: datetime
) -> list[Market]:
    """List what trades now at a price that can be believed."""
    return [
        Market(one, references[one.symbol].price)
        for one in listed
        if one.symbol in references
        and references[one.symbol].counts_for(one)
        and references[one.symbol].is_fresh(now=now, max_age_s=FRESH_S)
        and market.queries.session(one, now).is_open
    ]


def _belongings(
    customer: User, listed: Sequence[Instrument], references: Mapping[str, Reference]
) -> tuple[Purse, Decimal]:
    """Give what a customer can use, and what all that they have is worth in dollars."""
    by_asset = {one.asset_id: one for one in listed}
    cash, shares, equity = Decimal(0), {}, Decimal(0)
    for account in ledger.queries.balances_of(customer):
        if account.asset.code == USD.code:
            cash = Amount(account.available, account.asset).decimal
            equity += Amount(account.posted, account.asset).decimal
        elif instrument := by_asset.get(account.asset_id):
            scale = trading.queries.scale_of(instrument)
            shares[instrument.symbol] = scale.shares(account.available)
            if reference := references.get(instrument.symbol):
                equity += scale.shares(account.posted) * reference.price
    return Purse(cash, shares), equity


def _deposit(customer: User, dollars: Decimal, now: datetime) -> str:
    """Announce a deposit, which the simulated bank pays, unless one is on its way."""
    waiting = payments.queries.deposits_of(customer).filter(
        status=DepositInstruction.Status.WAITING
    )
    if waiting.exists():
        return "nothing"
    payments.operations.announce_deposit(user=customer, amount=Amount.parse(dollars, USD), now=now)
    return "deposited"
