"""Money in: announced by the customer, told by the bank, posted once."""

import re
import secrets
from datetime import datetime

from django.db import connection, transaction

import kyc.queries
import ledger.operations
import ledger.queries
import users.operations
from common.errors import DomainError
from common.money import Amount
from ledger.operations import AccountKey, Entry, Leg
from payments import gateways, queries, rules
from payments.models import BankCredit, DepositInstruction
from payments.signals import deposit_completed
from users.models import User

# No 0 O 1 I: a reference is typed by hand into a bank's form.
REFERENCE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
REFERENCE = re.compile(f"(?=(KRAK[{REFERENCE_LETTERS}]{{8}}))")  # wherever one may begin
LEAST_USD = 1
MOST_USD = 1_000_000
BANK_BATCH = 100
Waiting = BankCredit.Waiting


class DepositTooSmall(DomainError):
    """The smallest deposit is 1 USD."""

    field = "amount"


class DepositTooLarge(DomainError):
    """The largest deposit is 1,000,000 USD; write to support for more."""

    field = "amount"


class CentsOnly(DomainError):
    """A bank moves dollars and cents; drop the rest."""

    field = "amount"


class CreditContradicts(DomainError):
    """The bank used this id before, for other money."""

    status = 409


@transaction.atomic
def announce_deposit(*, user: User, amount: Amount, now: datetime) -> DepositInstruction:
    """Give the customer a reference to send dollars with.

    :raises kyc.queries.VerificationRequired: if the customer may not deposit
    :raises DepositTooSmall: below 1 USD
    :raises DepositTooLarge: above 1,000,000 USD
    :raises CentsOnly: for a fraction of a cent
    """
    kyc.queries.require(user, "deposit")
    if amount.decimal < LEAST_USD:
        raise DepositTooSmall
    if amount.decimal > MOST_USD:
        raise DepositTooLarge
    if amount.decimal % 1 * 100 % 1:
        raise CentsOnly
    return DepositInstruction.objects.create(
        user=user,
        asset=ledger.queries.asset(amount.asset.code),
        amount_units=amount.units,
        reference=new_reference(),
        created_at=now,
    )


def new_reference() -> str:
    """Make a reference that nobody has guessed or used: KRAK and eight letters, 40 bits."""
    return "KRAK" + "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))


@transaction.atomic
def receive_bank_credit(
    *, external_id: str, reference: str, amount: Amount, now: datetime
) -> BankCredit:
    """Take the bank's news that money arrived, and post it to who announced it.

    The bank's id makes it safe to hear the same news again, at the same moment too. What arrived
    is what is posted. It waits for staff, unposted, where policy does not let it through: nobody
    announced it, or another amount, or it is too much, or the books could not count it.

    :param external_id: the bank's own id of this movement
    :param reference: as the sender typed it; spaces, hyphens and case don't matter
    :raises CreditContradicts: if the id was used before for another amount or reference
    """
    asset = ledger.queries.asset(amount.asset.code)
    _lock(external_id)
    known = BankCredit.objects.filter(external_id=external_id).first()
    if known:
        if (known.amount_units, known.reference) != (amount.units, reference):
            raise CreditContradicts
        return known
    instruction = _instruction_for(reference, amount)
    credit = BankCredit(
        external_id=external_id,
        reference=reference,
        amount_units=amount.units,
        asset=asset,
        instruction=instruction,
        received_at=now,
    )
    credit.waits_for = _judge(credit, now)
    if instruction and not credit.waits_for:
        try:
            credit.journal_id = post_credit(credit, instruction.user, now)
        except ledger.operations.Uncountable:
            credit.waits_for = Waiting.UNCOUNTABLE
        else:
            credit.user = instruction.user
    credit.status = BankCredit.Status.WAITING if credit.waits_for else BankCredit.Status.POSTED
    credit.save(force_insert=True)
    if instruction:
        tell = _say_it_waits if credit.waits_for else complete
        tell(instruction, Amount(amount.units, asset), now)
    return credit


def _judge(credit: BankCredit, now: datetime) -> str:
    """Say why money has to wait, under today's policy; empty: it does not."""
    instruction = credit.instruction
    if instruction is None:
        return Waiting.UNKNOWN_REFERENCE
    _lock(f"of user {instruction.user_id}")  # two credits at once count each other
    arrival = rules.Arrival(
        amount=Amount(credit.amount_units, credit.asset).decimal,
        announced=queries.announced(instruction).decimal,
        completed=instruction.status == DepositInstruction.Status.COMPLETED,
        today=queries.posted_on(instruction.user, now).decimal,
        may_deposit=kyc.queries.standing(instruction.user).can["deposit"],
    )
    return rules.waits_for(arrival, queries.bank_limits(now.date()))


def receive_bank_webhook(*, payload: bytes, signature: str, now: datetime) -> BankCredit:
    """Take a webhook of the bank; the same one again changes nothing.

    :raises common.signatures.SignatureInvalid: if the bank has not signed it
    :raises gateways.WebhookMalformed: if the body is not what was agreed
    :raises CreditContradicts: if its id was used before for other money
    """
    credit = gateways.bank().read_credit(payload, signature, now=now)
    return receive_bank_credit(
        external_id=credit.external_id, reference=credit.reference, amount=credit.amount, now=now
    )


def let_simulated_bank_pay(*, now: datetime) -> int:
    """Let the demo's bank pay what customers have announced; it answers over HTTP, as a bank does.

    :returns: how many of its webhooks were taken
    """
    bank = gateways.simulated_bank()
    if bank is None:
        return 0
    expected = [
        gateways.Expected(one.reference, queries.announced(one), one.created_at)
        for one in queries.waiting_instructions()[:BANK_BATCH]
    ]
    return bank.pay(expected, now=now)


def _lock(external_id: str) -> None:
    """Let twins of one webhook wait for each other; the second then finds the first's row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('bank_credit:' || %s, 0))", [external_id]
        )


def _instruction_for(reference: str, amount: Amount) -> DepositInstruction | None:
    """Find and lock the deposit a sender meant; its reference may stand among other words."""
    candidates = REFERENCE.findall(re.sub(r"[\s\-./]", "", reference.upper()))
    return (
        DepositInstruction.objects.select_for_update(no_key=True, of=("self",))
        .select_related("user")
        .filter(reference__in=candidates, asset__code=amount.asset.code)
        .first()
    )


def post_credit(credit: BankCredit, user: User, now: datetime) -> int:
    """Post what arrived to a customer; give the journal's id.

    :raises Uncountable: if the books can't count that much
    """
    outside, customer = ledger.operations.open_accounts(
        keys=[
            AccountKey(None, credit.asset_id, "external"),
            AccountKey(user.pk, credit.asset_id, "customer"),
        ]
    )
    entry = Entry(
        key=f"deposit:{credit.external_id}",
        kind="deposit",
        legs=[Leg(debit=outside, credit=customer, amount=credit.amount_units)],
    )
    return ledger.operations.post(entries=[entry], occurred_at=now)[0]


def complete(instruction: DepositInstruction, arrived: Amount, now: datetime) -> None:
    """Mark the deposit as completed, and tell the customer and whoever listens."""
    instruction.status = DepositInstruction.Status.COMPLETED
    instruction.completed_at = instruction.completed_at or now
    instruction.save(update_fields=["status", "completed_at"])
    deposit_completed.send(sender=DepositInstruction, instruction=instruction)
    users.operations.notify(
        user=instruction.user,
        kind="deposit.completed",
        facts={"units": arrived.units, "reference": instruction.reference},
        url="/deposit/",
        now=now,
    )


def _say_it_waits(instruction: DepositInstruction, arrived: Amount, now: datetime) -> None:
    users.operations.notify(
        user=instruction.user,
        kind="deposit.waiting",
        facts={"units": arrived.units, "reference": instruction.reference},
        url="/deposit/",
        now=now,
    )
