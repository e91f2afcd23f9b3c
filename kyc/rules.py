"""Who may be a customer: pure decisions, given the facts and the policy in force."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

ADULT_YEARS = 18
OLDEST_YEARS = 120

PO_BOX = re.compile(
    r"\b(p\.?\s*o\.?\s*box|post(fach|bus|\s*office\s*box)|apartado|casella\s+postale)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A document the customer accepts, by its present version."""

    document: str
    version: str
    title: str


AGREEMENTS = (
    Agreement("terms", "2026-11", "Customer agreement"),
    Agreement("risks", "2026-11", "Risks of tokenized shares"),
    Agreement("privacy", "2026-11", "Privacy notice"),
)


@dataclass(frozen=True, slots=True)
class Ties:
    """A person's ties to places, as ISO 3166 codes; empty where not yet told."""

    residence: str
    citizenship: str
    tax_residence: str
    us_person: bool | None

    def grounds(self) -> set[tuple[str, str]]:
        """Give every (country, ground) that policy could speak of."""
        ties = {
            (self.residence, "residence"),
            (self.citizenship, "citizenship"),
            (self.tax_residence, "tax_residence"),
        }
        return ties | {("US", "us_person")} if self.us_person else ties


@dataclass(frozen=True, slots=True)
class Restriction:
    """One row of the policy: where, on what ground, and why the product is not offered."""

    country: str
    ground: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: pass, fail or indeterminate, with the sentence the customer reads."""

    name: str
    outcome: str
    reason: str = ""


def jurisdiction(ties: Ties, policy: Iterable[Restriction]) -> Finding:
    """Fail on the first restriction that a tie meets; residence speaks before citizenship."""
    met = [rule for rule in policy if (rule.country, rule.ground) in ties.grounds()]
    if not met:
        return Finding("jurisdiction", "pass")
    order = ["residence", "us_person", "citizenship", "tax_residence"]
    first = min(met, key=lambda rule: order.index(rule.ground))
    return Finding("jurisdiction", "fail", first.reason)


def age(birth_date: date, today: date) -> Finding:
    """Pass adults; an age that nobody reaches is a typing error, for a person to look at."""
    years = years_between(birth_date, today)
    if years < ADULT_YEARS:
        return Finding("age", "fail", "You have to be 18 or older to open an account.")
    return Finding("age", "pass" if years <= OLDEST_YEARS else "indeterminate")


def years_between(birth_date: date, today: date) -> int:
    """Count full years; who was born on 29 February has the birthday on 1 March."""
    before_birthday = (today.month, today.day) < (birth_date.month, birth_date.day)
    return today.year - birth_date.year - before_birthday


def address(street: str) -> Finding:
    """Leave a post-office box to a person: it is not where somebody lives."""
    return Finding("address", "indeterminate" if PO_BOX.search(street) else "pass")


def missing_agreements(accepted: Iterable[tuple[str, str]]) -> list[Agreement]:
    """Give the agreements whose present version is not among the accepted (document, version)."""
    known = set(accepted)
    return [one for one in AGREEMENTS if (one.document, one.version) not in known]


def refusals(findings: Sequence[Finding]) -> list[str]:
    """Give the reasons that refuse an applicant at once; anything unclear waits for a person."""
    return [finding.reason for finding in findings if finding.outcome == "fail"]
