"""Who of the staff may do what: the one table.

A role is a group of the staff. What it sees and does alone are Django permissions, made from
`SEES` and `ALONE` after each migration, and taken back there when they leave the table. What two
people decide is in `PROPOSALS`: one of the proposers' roles asks, another person of an approvers'
role approves. A superuser has every role, and is bound by the second person like everybody else.
"""

from dataclasses import dataclass

SUPPORT = "Support"  # helps customers
COMPLIANCE = "Compliance"  # decides who may be a customer, and approves what others propose
OPERATIONS = "Operations"  # runs the markets and their policy
TREASURY = "Treasury"  # moves the house's money and corrects the books
AUDITOR = "Auditor"  # reads everything and does nothing
ROLES = (SUPPORT, COMPLIANCE, OPERATIONS, TREASURY, AUDITOR)


@dataclass(frozen=True, slots=True)
class FourEyes:
    """Which roles propose a kind of change, and which approve it; never the same person."""

    proposers: frozenset[str]
    approvers: frozenset[str]


def _two(proposers: tuple[str, ...], approvers: tuple[str, ...]) -> FourEyes:
    return FourEyes(frozenset(proposers), frozenset(approvers))


# By the name of the kind: `app.noun_verb`.
PROPOSALS: dict[str, FourEyes] = {}
