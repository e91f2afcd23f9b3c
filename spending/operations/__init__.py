"""The verbs of cards: issue and steer, decide on purchases, clear, refund, play the network."""

from spending.operations.authorizations import authorize
from spending.operations.cards import (
    CardCancelled,
    CardFrozenForYou,
    CardNotFrozen,
    CardOwes,
    FundingChoice,
    FundingInvalid,
    TooManyCards,
    activate_card,
    add_source,
    cancel_card,
    freeze_card,
    issue_card,
    move_source,
    set_funding,
    unfreeze_card,
)
from spending.operations.debts import NothingOwed, forgive_shortfall, recover_debts
from spending.operations.events import UnknownCard, expire_due, receive_event
from spending.operations.proposals import FORGIVE_SHORTFALL, KINDS, UNFREEZE_CARD
from spending.operations.simulation import (
    PURCHASES,
    NetworkRefused,
    clear_taps,
    send_as_network,
    tap,
)

__all__ = [
    "FORGIVE_SHORTFALL",
    "KINDS",
    "PURCHASES",
    "UNFREEZE_CARD",
    "CardCancelled",
    "CardFrozenForYou",
    "CardNotFrozen",
    "CardOwes",
    "FundingChoice",
    "FundingInvalid",
    "NetworkRefused",
    "NothingOwed",
    "TooManyCards",
    "UnknownCard",
    "activate_card",
    "add_source",
    "authorize",
    "cancel_card",
    "clear_taps",
    "expire_due",
    "forgive_shortfall",
    "freeze_card",
    "issue_card",
    "move_source",
    "receive_event",
    "recover_debts",
    "send_as_network",
    "set_funding",
    "tap",
    "unfreeze_card",
]
