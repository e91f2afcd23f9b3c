"""The verbs of verification: applications, and what two people decide about them and the policy."""

from kyc.operations.applications import (
    AgreementsMissing,
    ApplicationChanged,
    ApplicationIncomplete,
    ApplicationNotEditable,
    ApplicationNotInReview,
    MessageMissing,
    OwnApplication,
    approve,
    reject,
    reopen,
    rotate_keys,
    save_draft,
    submit,
)
from kyc.operations.policy import RestrictionEndsBefore, end_restriction
from kyc.operations.proposals import APPROVE, END_RESTRICTION, KINDS, REJECT, REOPEN, RESTRICT_PLACE

__all__ = [
    "APPROVE",
    "END_RESTRICTION",
    "KINDS",
    "REJECT",
    "REOPEN",
    "RESTRICT_PLACE",
    "AgreementsMissing",
    "ApplicationChanged",
    "ApplicationIncomplete",
    "ApplicationNotEditable",
    "ApplicationNotInReview",
    "MessageMissing",
    "OwnApplication",
    "RestrictionEndsBefore",
    "approve",
    "end_restriction",
    "reject",
    "reopen",
    "rotate_keys",
    "save_draft",
    "submit",
]
