"""The verbs about money: in from customers, the house's own, and what staff correct."""

from payments.operations.credits import CreditNotWaiting
from payments.operations.deposits import (
    REFERENCE,
    CentsOnly,
    CreditContradicts,
    DepositTooLarge,
    DepositTooSmall,
    announce_deposit,
    let_simulated_bank_pay,
    new_reference,
    receive_bank_credit,
    receive_bank_webhook,
)
from payments.operations.proposals import (
    ADJUST_CASH,
    ASSIGN_CREDIT,
    KINDS,
    MOVE_TREASURY,
    RETURN_CREDIT,
    REVERSE,
    SET_BANK_POLICY,
)
from payments.operations.statements import import_statements, keep_statement, reconcile
from payments.operations.treasury import (
    MovedBefore,
    Movement,
    NothingMoved,
    NotReversible,
    WrongAsset,
    adjustment_payload,
    treasury_payload,
)

__all__ = [
    "ADJUST_CASH",
    "ASSIGN_CREDIT",
    "KINDS",
    "MOVE_TREASURY",
    "REFERENCE",
    "RETURN_CREDIT",
    "REVERSE",
    "SET_BANK_POLICY",
    "CentsOnly",
    "CreditContradicts",
    "CreditNotWaiting",
    "DepositTooLarge",
    "DepositTooSmall",
    "MovedBefore",
    "Movement",
    "NotReversible",
    "NothingMoved",
    "WrongAsset",
    "adjustment_payload",
    "announce_deposit",
    "import_statements",
    "keep_statement",
    "let_simulated_bank_pay",
    "new_reference",
    "receive_bank_credit",
    "receive_bank_webhook",
    "reconcile",
    "treasury_payload",
]
