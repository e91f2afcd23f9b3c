"""Reading the numbers that people type, each in the format of their country.

`static/js/numbers.js` is the same reader for the page; one table of cases runs against both. A
program writes plain decimals, and is read by `common.money.parse_decimal`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal

from common.errors import DomainError

LONGEST = 40
ARABIC_THOUSANDS, ARABIC_DECIMALS = "\u066c", "\u066b"
WIDE_POINT, WIDE_COMMA, WIDE_DOLLAR = "\uff0e", "\uff0c", "\uff04"
APOSTROPHE = "\u2019"
ZEROS = "\u0660\u06f0\u0966\uff10"  # Arabic's, Persian's, Hindi's, wide ones
# What is typed with other keys; apostrophes and blanks only ever separate thousands.
SIGNS = dict.fromkeys(f"'{APOSTROPHE}\u00a0\u2009\u202f{ARABIC_THOUSANDS}", " ")
SIGNS |= {WIDE_POINT: ".", WIDE_COMMA: ",", ARABIC_DECIMALS: "."}
SIGNS |= {chr(ord(zero) + digit): str(digit) for zero in ZEROS for digit in range(10)}
SIGN = rf"US\s?\$|USD|[${WIDE_DOLLAR}]"
DOLLARS = re.compile(rf"^(?:{SIGN})\s*|\s*(?:{SIGN})$", re.IGNORECASE)
SHAPE = re.compile(r"[0-9][0-9., ]*|[.,][0-9]+")
GROUPED = re.compile(r"[1-9][0-9]{0,2}([., ])[0-9]{3}(?:\1[0-9]{3})*")


class NumberUnread(DomainError):
    """This is no number; write it like 1,000.50."""

    status = 400


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How numbers are written somewhere: 1,000.50 has `,` for thousands and `.` for decimals."""

    thousands: str
    decimals: str

    def write(self, number: Decimal) -> str:
        """Write a number with all its decimals, as it would be typed."""
        marks = {",": self.thousands, ".": self.decimals}
        return "".join(marks.get(sign, sign) for sign in f"{number:,f}")


FORMATS = {
    "en": NumberFormat(",", "."),
    "de": NumberFormat(".", ","),
    "ch": NumberFormat(APOSTROPHE, "."),
    "fr": NumberFormat("\u202f", ","),
}
DEFAULT = "en"
EXAMPLE = Decimal("1000.50")


def read_number(text: str, number_format: str = DEFAULT) -> Decimal:
    """Read a positive number as somebody types it, with or without a dollar sign.

    The format decides what a comma and a point are. What it cannot read but can only mean one
    thing is read so: `0,5` is a half everywhere. Nothing is guessed: where a mark may separate
    thousands or decimals and the format has no use for it, the number is refused.

    :param number_format: a key of `FORMATS`
    :raises NumberUnread: saying how to write it
    """
    form = FORMATS[number_format]
    plain = _plain(text)
    whole, mark, decimals = _split(plain, form)
    complete = decimals.isdigit() if mark else bool(whole)
    if not (SHAPE.fullmatch(plain) and complete and _is_whole(whole)):
        both = GROUPED.fullmatch(plain)
        fault = "can be read in two ways" if both else "is no number"
        raise NumberUnread(f"This {fault}; write it like {form.write(EXAMPLE)}.")
    digits = "".join(sign for sign in whole if sign.isdigit())
    return Decimal(f"{digits or 0}.{decimals}" if mark else digits)


def _plain(text: str) -> str:
    """Give what was typed in ASCII: digits, points and commas, and a blank for what only groups."""
    kept = DOLLARS.sub("", text.strip())
    return "".join(SIGNS.get(sign, sign) for sign in kept) if len(kept) <= LONGEST else ""


def _split(plain: str, form: NumberFormat) -> tuple[str, str, str]:
    """Split where decimals begin: at a mark that stands once and last, and is none of thousands.

    A mark that may be one of thousands is, where the format says so; where it says nothing, the
    number is left whole and its mark tells on it.
    """
    marks = [sign for sign in plain if not sign.isdigit()]
    last = marks[-1] if marks else ""
    if last not in {".", ","} or marks.count(last) > 1:
        return plain, "", ""
    if len(marks) == 1 and GROUPED.fullmatch(plain) and last != form.decimals:
        return (plain.replace(last, ""), "", "") if last == form.thousands else ("", last, "")
    return plain.rpartition(last)


def _is_whole(text: str) -> bool:
    return not text or text.isdigit() or GROUPED.fullmatch(text) is not None


# The languages whose people write 1.000,50, and those who write 1 000,50. In Switzerland and
# Liechtenstein all write 1'000.50, and much of Latin America writes as the United States do.
POINTED = {"da", "de", "el", "es", "hr", "id", "is", "it", "nl", "pt", "ro", "sl", "tr", "vi"}
SPACED = {"bg", "cs", "et", "fi", "fr", "hu", "lt", "lv", "nb", "nn", "no", "pl", "ru", "sk", "sv"}
SWISS = {"ch", "li"}
AMERICAN = {"do", "gt", "hn", "mx", "ni", "pa", "pe", "pr", "sv", "us"}  # of Spanish


def format_of(accept_language: str) -> str:
    """Guess how numbers are written where a browser's first language is spoken.

    :param accept_language: the header: `de-CH,de;q=0.9,en;q=0.5`
    :returns: a key of `FORMATS`
    """
    tag = accept_language.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].strip().lower()
    language, _, region = tag.partition("-")
    if region in SWISS:
        return "ch"
    if language in POINTED and not (language == "es" and region in AMERICAN):
        return "de"
    return "fr" if language in SPACED else DEFAULT


_active: ContextVar[str] = ContextVar("number_format", default=DEFAULT)


def active_format() -> str:
    """Give the number format of who is asking, a key of `FORMATS`."""
    return _active.get()


@contextmanager
def reading(number_format: str) -> Iterator[None]:
    """Let forms read and write numbers in this format meanwhile."""
    token = _active.set(number_format)
    try:
        yield
    finally:
        _active.reset(token)
