"""What two people decide about cards."""

from datetime import datetime
from typing import Any

from common.money import USD, Amount
from spending import queries
from spending.models import Card
from spending.operations import cards, debts
from users.models import Proposal, User
from users.operations import ProposalKind

Payload = dict[str, Any]


def _card(payload: Payload) -> Card:
    rows = Card.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("user").get(uid=payload["card"])


def _check(payload: Payload, _actor: User, _now: datetime) -> None:
    card = _card(payload)
    if card.status != Card.Status.FROZEN:
        raise cards.CardNotFrozen
    if queries.debt_of(card.user):
        raise cards.CardOwes


def _unfreeze(proposal: Proposal, actor: User, now: datetime) -> str:
    card = _card(proposal.payload)
    cards.unfreeze_card(card=card, actor=actor, reason=proposal.payload["message"], now=now)
    return f"card:{card.uid}"


UNFREEZE_CARD = ProposalKind(
    name="spending.unfreeze_card",
    title="Let a frozen card pay again",
    target=lambda payload: str(payload["card"]),
    version=lambda payload: "{0.status} by {0.frozen_by_id}".format(_card(payload)),
    describe=lambda payload: [
        ("Card", str(_card(payload)), "the same"),
        ("Status", _card(payload).get_status_display(), Card.Status.ACTIVE.label),
        ("Frozen because", _card(payload).frozen_reason or "-", "-"),
    ],
    check=_check,
    execute=_unfreeze,
    subject=lambda payload: _card(payload).user,
)


def _user(payload: Payload) -> User:
    return debts.lock_customer(int(payload["user"]))


def _units(payload: Payload) -> int:
    return Amount.parse(payload["amount"], USD, field="amount").units


def _owed(payload: Payload) -> str:
    return f"${queries.dollars(queries.debt_of(_user(payload)))}"


def _describe_debt(payload: Payload) -> list[tuple[str, str, str]]:
    left = queries.debt_of(_user(payload)) - _units(payload)
    return [("Owed after shortfalls", _owed(payload), f"${queries.dollars(left)}")]


def _check_forgiving(payload: Payload, _actor: User, _now: datetime) -> None:
    if not 0 < _units(payload) <= queries.debt_of(_user(payload)):
        raise debts.NothingOwed


def _forgive(proposal: Proposal, actor: User, now: datetime) -> str:
    user, units = _user(proposal.payload), _units(proposal.payload)
    made = debts.forgive_shortfall(user=user, units=units, proposal=proposal, actor=actor, now=now)
    return f"debt reduction {made.pk}"


FORGIVE_SHORTFALL = ProposalKind(
    name="spending.forgive_shortfall",
    title="Forgive what a customer owes after a shortfall",
    target=lambda payload: str(_user(payload)),
    version=lambda payload: f"owes {_owed(payload)}",
    describe=_describe_debt,
    check=_check_forgiving,
    execute=_forgive,
    subject=_user,
)
KINDS = (FORGIVE_SHORTFALL, UNFREEZE_CARD)
