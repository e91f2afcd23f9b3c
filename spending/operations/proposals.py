"""What two people decide about cards."""

from datetime import datetime
from typing import Any

from spending import queries
from spending.models import Card
from spending.operations import cards
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
    if queries.owed_on(card):
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
