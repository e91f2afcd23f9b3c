"""What two people decide about money: the house's, and what is corrected."""

from datetime import datetime
from typing import Any

import ledger.queries
from common.money import Amount
from payments import queries
from payments.models import BankPolicy
from payments.operations import credits as arrived
from payments.operations import treasury
from users.models import Proposal, User
from users.operations import ProposalKind, policy_kind

Payload = dict[str, Any]


def _move(proposal: Proposal, actor: User, now: datetime) -> str:
    moved = treasury.move_treasury(proposal=proposal, actor=actor, now=now)
    return f"{len(moved)} treasury movements"


def _describe_movements(payload: Payload) -> list[tuple[str, str, str]]:
    lines = []
    for one in treasury.movements_of(payload):
        held = queries.house_balance(one.purse, one.amount.asset.code)
        sign = 1 if one.kind in {treasury.Kind.CAPITAL, treasury.Kind.ISSUE} else -1
        after = held.decimal + sign * one.amount.decimal
        what = f"{TITLES[one.kind]}: {one.purse} {one.amount.asset.code}"
        lines.append((what, f"{held.decimal:f}", f"{after:f}"))
    return lines


TITLES: dict[str, str] = {
    treasury.Kind.CAPITAL: "From the bank",
    treasury.Kind.CAPITAL_OUT: "To the bank",
    treasury.Kind.ISSUE: "From the issuer",
    treasury.Kind.REDEEM: "To the issuer",
}
MOVE_TREASURY = ProposalKind(
    name="payments.move_treasury",
    title="Move the house's money or tokens",
    target=lambda payload: str(payload["reference"]),
    version=lambda payload: "moved" if queries.was_moved(payload["reference"]) else "not moved",
    describe=_describe_movements,
    check=lambda payload, _actor, _now: treasury.check_treasury(payload=payload),
    execute=_move,
)


def _user(payload: Payload) -> User:
    return User.objects.get(pk=payload["user"])


def _adjust(proposal: Proposal, actor: User, now: datetime) -> str:
    return f"adjustment:{treasury.adjust_cash(proposal=proposal, actor=actor, now=now).uid}"


ADJUST_CASH = ProposalKind(
    name="payments.adjust_cash",
    title="Give a customer dollars, or take them",
    target=lambda payload: str(_user(payload)),
    version=lambda payload: f"adjusted {queries.adjustments_of(_user(payload)).count()} times",
    describe=lambda payload: [
        ("Dollars", "-", payload["amount"]),
        ("Message to the customer", "-", payload["message"]),
    ],
    check=lambda payload, _actor, _now: treasury.check_adjustment(payload=payload),
    execute=_adjust,
    subject=_user,
)


def _reverse(proposal: Proposal, actor: User, now: datetime) -> str:
    return f"reversal:{treasury.reverse(proposal=proposal, actor=actor, now=now).uid}"


def _check_reversal(payload: Payload, _actor: User, _now: datetime) -> None:
    if queries.reversible(payload["journal"]) is None:
        raise treasury.NotReversible


REVERSE = ProposalKind(
    name="payments.reverse_journal",
    title="Reverse a movement of the house or an adjustment",
    target=lambda payload: f"journal {payload['journal']}",
    version=lambda payload: (
        "not reversed" if queries.reversible(payload["journal"]) else "reversed"
    ),
    describe=lambda payload: [
        (leg, "posted", "reversed") for leg in ledger.queries.legs_in_words(payload["journal"])
    ],
    check=_check_reversal,
    execute=_reverse,
    subject=lambda payload: queries.adjusted_by(payload["journal"]),
)


def _assign(proposal: Proposal, _actor: User, now: datetime) -> str:
    return f"credit:{arrived.assign_credit(proposal=proposal, now=now).external_id}"


def _return(proposal: Proposal, _actor: User, _now: datetime) -> str:
    return f"credit:{arrived.return_credit(proposal=proposal).external_id}"


def _check_credit(payload: Payload, _actor: User, _now: datetime) -> None:
    arrived.waiting_credit(payload)


def _describe_credit(payload: Payload) -> list[tuple[str, str, str]]:
    credit = arrived.waiting_credit(payload)
    amount = f"{Amount(credit.amount_units, credit.asset)} {credit.asset.code}"
    whose = str(_user(payload)) if "user" in payload else "its sender"
    return [(f"{amount}, {credit.reference!r}", credit.get_waits_for_display(), f"goes to {whose}")]


# One of the two may be proposed for a credit, and each conflicts once the other is done.
ASSIGN_CREDIT = ProposalKind(
    name="payments.assign_credit",
    title="Post money that waits to a customer",
    target=lambda payload: str(payload["credit"]),
    version=lambda payload: queries.credit_status(payload["credit"]),
    describe=_describe_credit,
    check=_check_credit,
    execute=_assign,
    subject=_user,
)
RETURN_CREDIT = ProposalKind(
    name="payments.return_credit",
    title="Return money that waits to its sender",
    target=lambda payload: str(payload["credit"]),
    version=lambda payload: queries.credit_status(payload["credit"]),
    describe=_describe_credit,
    check=_check_credit,
    execute=_return,
)
SET_BANK_POLICY = policy_kind(
    name="payments.set_bank_policy", title="Change which money waits for staff", model=BankPolicy
)

KINDS = (
    MOVE_TREASURY,
    ADJUST_CASH,
    REVERSE,
    ASSIGN_CREDIT,
    RETURN_CREDIT,
    SET_BANK_POLICY,
)
